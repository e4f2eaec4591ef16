"""What a run measures of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paretune.train.memory import PeakMemory


@dataclass(frozen=True, slots=True)
class Stats:
    """Means over the steps since `prepare` or `restart_stats`; the same on all workers but for `communication_s`.

    A run's first step is left out: it pays for memory, kernels and connections.
    """

    steps: int
    step_s: float
    """Seconds of `run.step`, from call to return."""
    samples_per_s: float
    """Samples of all workers."""
    tokens_per_s: float | None
    """None unless `prepare` was told how many tokens a sample has."""
    bubble: float | None
    """Share of a pipeline step's time in which a worker computes nothing, over all workers; None without a pipeline."""
    peak_memory_bytes: int
    """Of the worker that needs most, since `prepare`."""
    memory_kind: Literal["cuda_allocated", "resident_set"]
    communication_s: float | None
    """Seconds of a step in which this worker waited for the gradients' all-reduce; None where the backward pass
    overlaps it (DDP, FSDP) or there is none."""
    grad_norm: float | None
    """Global norm at the last update, before clipping; None unless clipping or loss scaling needed it."""


class Meter:
    """Collects what `Stats` is made of."""

    def __init__(self, *, tokens_per_sample: int | None, memory: PeakMemory) -> None:
        self._tokens, self._memory = tokens_per_sample, memory
        self._warm = False
        self.grad_norm: float | None = None
        self.restart()

    def restart(self) -> None:
        """Forget the steps so far."""
        self._steps, self._step_s, self._samples, self._busy_s, self._wall_s = 0, 0.0, 0.0, 0.0, 0.0
        self._communication_s: float | None = None
        self._peak_bytes = 0

    def add(
        self,
        *,
        step_s: float,
        samples: float,
        busy_s: float,
        wall_s: float,
        communication_s: float | None,
        peak_bytes: int,
    ) -> None:
        """Count one step; times of pipelines are sums over all workers."""
        self._peak_bytes = max(self._peak_bytes, peak_bytes)
        if not self._warm:
            self._warm = True
            return
        self._steps += 1
        self._step_s += step_s
        self._samples += samples
        self._busy_s += busy_s
        self._wall_s += wall_s
        if communication_s is not None:
            self._communication_s = (self._communication_s or 0.0) + communication_s

    def read(self) -> Stats:
        rate = self._samples / self._step_s if self._step_s else 0.0
        steps = max(self._steps, 1)
        return Stats(
            steps=self._steps,
            step_s=self._step_s / steps,
            samples_per_s=rate,
            tokens_per_s=None if self._tokens is None else rate * self._tokens,
            bubble=1 - self._busy_s / self._wall_s if self._wall_s else None,
            peak_memory_bytes=self._peak_bytes,
            memory_kind=self._memory.kind,
            communication_s=None if self._communication_s is None else self._communication_s / steps,
            grad_norm=self.grad_norm,
        )
