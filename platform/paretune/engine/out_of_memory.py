"""Tells a trial that needed more memory than there is from one that failed for another reason."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from paretune.train.device import training_device
from paretune.train.memory import peak_bytes

_SIGNS = ("out of memory", "DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What a RuntimeError says where PyTorch has no class of its own: of the CPU's allocator, of libraries on the GPU."""


def reason(error: BaseException) -> str | None:
    """What was asked for and how much was held at most; None for an error that has another cause.

    The cause may lie deeper: a pipeline raises an error of its own from that of a stage.
    """
    for cause in _chain(error):
        if isinstance(cause, torch.OutOfMemoryError | MemoryError) or (
            isinstance(cause, RuntimeError) and any(sign in str(cause) for sign in _SIGNS)
        ):
            device = training_device()
            held = "allocated" if device.type == "cuda" else "resident in the process"
            first = str(cause).partition("\n")[0] or type(cause).__name__
            return f"out of memory: {first}; {peak_bytes(device) / 1e6:.0f} MB {held} at most"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
