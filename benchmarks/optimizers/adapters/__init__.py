"""One module per library, run in its own environment: `python -P -m benchmarks.optimizers.adapters.optuna`."""
