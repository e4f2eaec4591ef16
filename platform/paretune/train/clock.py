"""How long a device works: wall time on the CPU, events on a CUDA stream, which cost no synchronisation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Adds up the time of blocks of work; read at the end of a step, when the device has caught up anyway."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._seconds, self._started_s = 0.0, 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def start(self) -> None:
        """Count from here."""
        if self._cuda:
            self._events.append((torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)))
            self._events[-1][0].record()
        else:
            self._started_s = time.perf_counter()

    def stop(self) -> None:
        """Count until here."""
        if self._cuda:
            self._events[-1][1].record()
        else:
            self._seconds += time.perf_counter() - self._started_s

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what the block does."""
        self.start()
        yield
        self.stop()

    def take_s(self) -> float:
        """The seconds counted since the last call."""
        if self._events:
            self._events[-1][1].synchronize()
            self._seconds += sum(start.elapsed_time(end) for start, end in self._events) / 1e3
            self._events.clear()
        seconds, self._seconds = self._seconds, 0.0
        return seconds
