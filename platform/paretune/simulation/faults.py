"""What goes wrong on a real cluster, drawn from the study's seed: equal studies have equal faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paretune.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How much goes wrong, as probabilities.

    `failures`: that the training raises before a report, and the trial has failed. `preemptions`: that its workers are
    lost before a report; it goes on from its last one `restart_s` later, as often as the spec's `retries` allow.
    `stragglers`: that an attempt has slow workers, on which everything takes `slowdown` times as long.
    """

    failures: float = 0.0
    preemptions: float = 0.0
    restart_s: float = 60.0
    stragglers: float = 0.0
    slowdown: float = 5.0

    def __post_init__(self) -> None:
        for name in ("failures", "preemptions", "stragglers"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"faults: {name} must be a probability, got {getattr(self, name)!r}")
        if self.restart_s < 0 or self.slowdown <= 0:
            raise InputError(f"faults: restart_s must be >= 0 and slowdown > 0, got {self.restart_s}, {self.slowdown}")

    def slow(self, seed: int, trial: int, attempt: int) -> float:
        """How many times as long this attempt takes."""
        return self.slowdown if self.stragglers and self.stragglers > _draw(seed, trial, attempt, 0)[0] else 1.0

    def failed(self, seed: int, trial: int, attempt: int, step: int) -> bool:
        """Whether the training raises before this report."""
        return bool(self.failures) and self.failures > _draw(seed, trial, attempt, step)[1]

    def preempted(self, seed: int, trial: int, attempt: int, step: int) -> float | None:
        """How far on the way to this report the workers are lost, in (0, 1); None where they are not."""
        if not self.preemptions:
            return None
        drawn = _draw(seed, trial, attempt, step)
        return float(drawn[3]) if self.preemptions > drawn[2] else None


def _draw(seed: int, trial: int, attempt: int, step: int) -> list[float]:
    drawn: list[float] = np.random.default_rng([seed, trial, attempt, step]).random(4).tolist()
    return drawn
