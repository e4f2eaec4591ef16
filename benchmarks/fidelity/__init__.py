"""Searches that end trials early, compared on learning curves by a virtual clock; see README.md."""
