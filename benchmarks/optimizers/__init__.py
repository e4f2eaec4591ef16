"""Optimizers compared on equal tasks, seeds, budgets and noise; see README.md. Imported in every peer's environment."""
