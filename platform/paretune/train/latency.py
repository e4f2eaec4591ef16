"""How long one forward pass takes."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn


def latency_ms(model: nn.Module, batch: Tensor, *, repeats: int = 20, warm_up: int = 5) -> float:
    """The median wall time in milliseconds of `model(batch)` in evaluation mode, without gradients.

    The device is synchronised around each pass. The median of 20 ignores what else the machine does now and then;
    the warm-up passes pay for memory allocation and kernel selection. The model's mode is left as it was.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        times_ms = [_timed_ms(model, batch) for _ in range(warm_up + repeats)]
    model.train(was_training)
    return statistics.median(times_ms[warm_up:])


def _timed_ms(model: nn.Module, batch: Tensor) -> float:
    _synchronise(batch.device)
    start_s = time.perf_counter()
    model(batch)
    _synchronise(batch.device)
    return (time.perf_counter() - start_s) * 1e3


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
