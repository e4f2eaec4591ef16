"""Parts of `bohb`."""
