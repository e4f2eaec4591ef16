"""What the results say: `scores` normalises them, `tables` and `figure` show them."""
