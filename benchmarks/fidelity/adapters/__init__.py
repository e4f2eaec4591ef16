"""Other libraries' searches that end trials early, one module each, run in their own environments."""
