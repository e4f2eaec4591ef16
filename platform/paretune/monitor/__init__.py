"""What the cluster's own tools show of a study: Prometheus metrics, and the metadata of its Ray job."""
