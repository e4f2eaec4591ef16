"""Grid search: every combination of values once, then once more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np

from paretune.algorithms._base import Problem
from paretune.algorithms._batch import Pending, one_by_one
from paretune.algorithms._grid.combinations import combinations, levels
from paretune.algorithms._grid.settings import Grid
from paretune.algorithms._untried import default_first
from paretune.errors import AlgorithmError, nearest
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import Config, Space

LARGEST = 10_000
"""Configurations of a grid. Nobody trains more often than that, and listing them takes half a second."""


class GridSearch:
    """The default configuration, then the grid; learns nothing from results.

    The next configuration is the first of those that were tried least often, so a resumed study goes on where it was,
    and a grid that is used up is gone through once more.
    """

    Settings = Grid

    def __init__(self, problem: Problem, settings: Grid) -> None:
        """Raises AlgorithmError for a grid that is too large, or points of a parameter that is not there."""
        self._space = problem.space
        listed = _listed(problem.space, settings)
        if settings.order == "random":
            listed = [listed[i] for i in np.random.default_rng(problem.seed).permutation(len(listed))]
        self._grid = {self._space.key(config): config for config in listed}

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        return one_by_one(lambda ahead: self._next(history, ahead), pending, n)

    def _next(self, history: Sequence[Observation], ahead: Pending) -> Proposal:
        tried = Counter(self._space.key(entry.config) for entry in (*history, *ahead))
        default = default_first(self._space, set(tried))
        if default is not None:
            return Proposal(config=default, origin="default")
        return Proposal(config=self._grid[min(self._grid, key=lambda key: tried[key])], origin="grid")


def _listed(space: Space, settings: Grid) -> list[Config]:
    values = {name: levels(space[name], points) for name, points in _points(space, settings).items()}
    listed: list[Config] = list(islice(combinations(space, values), LARGEST + 1))
    if len(listed) > LARGEST:
        longest = max(values, key=lambda name: len(values[name]))
        fewer = max(2, len(values[longest]) // 2)
        raise AlgorithmError(
            f"algorithm: grid: must have at most {LARGEST:,} configurations, has more",
            hint=f"points: {{{longest}: {fewer}}}, or algorithm: sobol, which needs no grid",
        )
    legal = [config for config in listed if space.legal(config)]
    if not legal:
        raise AlgorithmError(
            f"algorithm: grid: must have a configuration that keeps the constraints, none of {len(listed):,} does",
            hint="more points, or algorithm: sobol, which needs no grid",
        )
    return legal


def _points(space: Space, settings: Grid) -> dict[str, int | None]:
    """How many values each parameter takes; None where nothing is said: then all of a discrete one."""
    given = settings.points
    if isinstance(given, int):
        return {name: given if math.isinf(parameter.cardinality) else None for name, parameter in space.items()}
    for name in given:
        if name not in space:
            raise AlgorithmError(f"algorithm: grid: points: no parameter {name!r}", hint=nearest(name, space))
    return {name: given.get(name) for name in space}
