"""Populations: which trial has whose place, and how a training's configuration changed along a line of descent.

A population is a fixed number of places. A trial that takes the place of another one belongs to the population of that
one; any other trial opens the next place, and so fills one population after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from paretune.log import Log
from paretune.parameters import Config
from paretune.records import Descent


class Places:
    """The population of each trial, numbered from 0; trials are told in the order of their numbers."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.opened = 0  # how many places were ever taken
        self._population: dict[int, int] = {}

    def take(self, trial: int, descent: Descent | None) -> int:
        """Note a trial; returns its population."""
        if descent is not None:
            self._population[trial] = self._population[descent.instead_of]
        else:
            self._population[trial] = self.opened // self._size
            self.opened += 1
        return self._population[trial]

    def __getitem__(self, trial: int) -> int:
        return self._population[trial]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a training, between two resources, under the configuration of one trial."""

    trial: int
    start: float
    end: float
    config: Config


def stages(log: Log, trial: int) -> list[Stage]:
    """The training that a trial is the end of, from its beginning; one stage where it has no parent."""
    found, end = [], log.trials[trial].resource
    while True:
        here = log.trials[trial]
        start = here.inherited.resource if here.inherited is not None else 0.0
        found.append(Stage(trial, start, end, here.config))
        if here.descent is None or here.descent.parent is None:
            return found[::-1]
        trial, end = here.descent.parent, start
