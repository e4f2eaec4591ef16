"""The tree-structured Parzen estimator's parts."""
