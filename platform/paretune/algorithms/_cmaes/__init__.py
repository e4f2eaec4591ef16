"""The covariance matrix adaptation's parts."""
