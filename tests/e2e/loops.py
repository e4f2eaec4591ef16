"""Training loops for the end-to-end tests: quick, deterministic, resuming from checkpoints."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any


def steady(config: dict[str, Any]) -> None:
    """Count epochs in a checkpoint; the error is a function of the configuration and the epoch alone."""
    import ray.train
    from ray.train import Checkpoint

    state = {"epoch": 0, "trail": []}
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            state = json.loads(Path(folder, "state.json").read_text())
    rank = ray.train.get_context().get_world_rank()
    for epoch in range(state["epoch"] + 1, config.get("epochs", 4) + 1):
        time.sleep(config.get("sleep_s", 0.05))
        state = {"epoch": epoch, "trail": [*state["trail"], epoch]}
        metrics = {
            "error": (config["x"] - 0.3) ** 2 + 1.0 / epoch,
            "cost": config["width"] / 10 + epoch / 100,
            "epoch": epoch,
            "counted": len(state["trail"]),
        }
        with tempfile.TemporaryDirectory() as folder:
            if rank == 0:
                Path(folder, "state.json").write_text(json.dumps(state))
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
            else:
                ray.train.report(metrics)
