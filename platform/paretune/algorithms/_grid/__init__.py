"""The grid search's parts."""
