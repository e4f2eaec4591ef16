"""The device of this training worker."""

from __future__ import annotations

import ray.train.torch
import torch


def training_device() -> torch.device:
    """The device Ray Train gave this worker, or the first CUDA device, or the CPU, outside of Ray Train."""
    try:
        return ray.train.torch.get_device()
    except RuntimeError:  # Ray's own way of saying that this process is no training worker
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
