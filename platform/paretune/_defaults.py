"""What needs to be known before anything heavier is imported."""

STORE = "paretune-results"
