"""One module per library, run in that library's own environment: `python -P -m benchmarks.optimizers.adapters.optuna`."""
