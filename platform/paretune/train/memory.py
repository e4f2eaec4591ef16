"""How much memory a training worker needed at most."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Literal

import torch

_READ_EVERY = 16  # calls


class PeakMemory:
    """The most memory this process has held since the object was made.

    On CUDA what PyTorch allocated; on the CPU the resident set, whose peak Linux lets a process reset. Elsewhere it is
    the peak of the process's whole life. A resident set holds Python and torch too, some 400 MB: on the CPU the figure
    compares trials and does not measure a model.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._calls, self._seen = device, 0, 0
        self.kind: Literal["cuda_allocated", "resident_set"] = "resident_set"
        if device.type == "cuda":
            self.kind = "cuda_allocated"
            torch.cuda.reset_peak_memory_stats(device)
        elif sys.platform == "linux":
            try:
                Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM; see proc(5)
            except OSError:  # not allowed in some sandboxes: then it is the process's life again
                return

    def read_bytes(self) -> int:
        return peak_bytes(self._device)

    def seen_bytes(self) -> int:
        """The peak as it was read last: at calls 1, 2, 4, 8 and every 16th, as it takes as long as a small layer."""
        self._calls += 1
        if self._calls % _READ_EVERY == 0 or self._calls & (self._calls - 1) == 0:
            self._seen = self.read_bytes()
        return self._seen


def peak_bytes(device: torch.device) -> int:
    """The most memory this process has held since the last `PeakMemory` was made."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
