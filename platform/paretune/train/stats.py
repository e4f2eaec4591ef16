"""What a run measures of itself."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paretune.train.memory import PeakMemory
from paretune.train.totals import Totals


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
    """Global norm when it was last measured, before clipping: at each update with clipping or loss scaling, else once
    in a window of the watchers."""
    rank_step_s: tuple[float, ...]
    """By worker, the seconds of a step in which it waits for no other: what it does between two steps (loading its
    batch) and its forward pass; of a pipeline also its backward passes."""
    stragglers: tuple[int, ...]
    """Workers whose `rank_step_s` is more than 1.5 times the median of those that do the same work, the copies of one
    stage (the lower median: of two, the faster one), over at least eight steps."""


_SLOW = 1.5  # times the median
_STEADY = 8  # steps: fewer may be one hiccup


def stragglers(rank_step_s: Sequence[float], *, copies: int, steps: int) -> tuple[int, ...]:
    """The workers that are too slow; worker stage * copies + replica is a copy of that stage."""
    if steps < _STEADY:
        return ()
    usual_s = [statistics.median_low(rank_step_s[n : n + copies]) for n in range(0, len(rank_step_s), copies)]
    return tuple(rank for rank, own_s in enumerate(rank_step_s) if own_s > _SLOW * usual_s[rank // copies])


class Meter:
    """Collects what `Stats` is made of."""

    def __init__(self, *, tokens_per_sample: int | None, copies: int, memory: PeakMemory) -> None:
        self._tokens, self._copies, self._memory = tokens_per_sample, copies, memory
        self._warm = False
        self.grad_norm: float | None = None
        self.restart()

    def restart(self) -> None:
        """Forget the steps so far."""
        self._steps, self._step_s, self._samples, self._busy_s, self._wall_s = 0, 0.0, 0.0, 0.0, 0.0
        self._own_s: list[float] = []
        self._communication_s: float | None = None
        self._peak_bytes = 0

    def add(self, totals: Totals, *, step_s: float, communication_s: float | None) -> None:
        """Count one step."""
        self._peak_bytes = max(self._peak_bytes, totals.peak_bytes)
        if not self._warm:
            self._warm = True
            return
        self._steps += 1
        self._step_s += step_s
        self._samples += totals.samples
        self._busy_s += totals.busy_s
        self._wall_s += totals.wall_s
        sofar_s = self._own_s or [0.0] * len(totals.own_s)
        self._own_s = [sum(parts) for parts in zip(sofar_s, totals.own_s, totals.waited_s, strict=True)]
        if communication_s is not None:
            self._communication_s = (self._communication_s or 0.0) + communication_s

    def read(self) -> Stats:
        rate = self._samples / self._step_s if self._step_s else 0.0
        steps = max(self._steps, 1)
        rank_step_s = tuple(own_s / steps for own_s in self._own_s)
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
            rank_step_s=rank_step_s,
            stragglers=stragglers(rank_step_s, copies=self._copies, steps=self._steps),
        )
