"""How much memory a training worker needed at most."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")  # Linux alone has them


def forget_peak_memory(device: torch.device) -> None:
    """From now on, `peak_memory_mb` counts anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        _CLEAR.write_text("5")  # resets the high-water mark of the resident memory (man 5 proc)


def peak_memory_mb(device: torch.device) -> float:
    """The most memory in megabytes since `forget_peak_memory`: of tensors on a CUDA device, else of this process.

    A process holds Python and torch beside the tensors, some 400 MB: on the CPU the figure compares trials and does
    not measure a model. Where there is no /proc it is that of the process's whole life.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6  # the kernel writes kB and means 1024 bytes
    unit_bytes = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6
