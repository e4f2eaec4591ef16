"""What every run has: a task, a seed, a number of workers, an end. And what comes out of it: reports in their order."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.fidelity.tasks import CurveTask, Trained, find, key
from benchmarks.optimizers.spaces import Config

LENGTHS = 4
"""A run's time: each worker could train this many average configurations to the end."""

_SAMPLES = 500  # for the average, which is the same in every run


@dataclass(frozen=True, slots=True)
class Report:
    """What a search was told: at `time_s` a training of `config` had come to `epoch` (from 1)."""

    time_s: float
    config: Config
    epoch: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a search; every configuration trains in it as it does in any other run with this seed."""

    task: CurveTask
    seed: int
    workers: int
    _trained: dict[str, Trained] = field(default_factory=dict)

    @property
    def end_s(self) -> float:
        return LENGTHS * self.task.epochs * mean_epoch_s(self.task.name)

    def trained(self, config: Mapping[str, Any]) -> Trained:
        """The training of a configuration; raises BadConfigError for one outside the space."""
        clean = self.task.space.clean(config)
        text = key(clean)
        if text not in self._trained:
            self._trained[text] = self.task.train(clean, seed=self.seed)
        return self._trained[text]


@cache
def mean_epoch_s(name: str) -> float:
    """How long an epoch takes on average over the space of a task."""
    (task,) = find(name)
    rng = random.Random(0)
    return statistics.fmean(task.epoch_s(task.space.sample(rng)) for _ in range(_SAMPLES))
