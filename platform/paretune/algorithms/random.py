"""Random search: independent uniform points of the unit cube (Bergstra and Bengio, 2012).

Where the user believes something, every second point is drawn from the belief.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paretune.algorithms._base import Problem
from paretune.algorithms._settings import Settings
from paretune.algorithms._untried import (
    Key,
    Tried,
    believed_points,
    default_first,
    first_untried,
    legal_points,
    uniform_points,
)
from paretune.records import Observation, Proposal, Suggestion


class Random:
    """Uniform over the unit cube, the default configuration first; repeats nothing while something is untried."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._space = problem.space
        self._tried = Tried(problem.space)

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        taken = self._tried.keys(history, pending)
        proposals: list[Proposal] = []
        for _ in range(n):
            proposals.append(self._next(taken, rng, trials=len(history) + len(pending) + len(proposals)))
            taken.add(self._space.key(proposals[-1].config))
        return proposals

    def _next(self, taken: set[Key], rng: np.random.Generator, *, trials: int) -> Proposal:
        default = default_first(self._space, taken)
        if default is not None:
            return Proposal(config=default, origin="default")
        points = uniform_points(len(self._space), rng)
        points = legal_points(self._space, believed_points(self._space, points, points, start=trials), rng)
        untried = first_untried(self._space, points, taken)
        return Proposal(config=untried or self._space.decode(next(points)), origin="random")
