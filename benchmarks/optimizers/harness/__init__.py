"""Peers on tasks: `peers` says who, `client` talks, `play` makes a run, `records` keeps it, `schedule` does all."""
