"""Runs peers on tasks: `peers` says who, `client` talks, `play` makes one run, `records` keeps it, `schedule` does them all."""
