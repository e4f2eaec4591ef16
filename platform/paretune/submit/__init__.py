"""Sending a study to a cluster: one protocol (`_base.Submitter`), one module per way of getting there."""
