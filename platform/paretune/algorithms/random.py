"""Random search: independent uniform points of the unit cube (Bergstra and Bengio, 2012).

Where the user believes something, every second point is drawn from the belief.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paretune.algorithms._base import Problem
from paretune.algorithms._initial import next_random
from paretune.algorithms._settings import Settings
from paretune.algorithms._untried import Tried
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
            trials = len(history) + len(pending) + len(proposals)
            proposals.append(next_random(self._space, taken, rng, trials=trials))
            taken.add(self._space.key(proposals[-1].config))
        return proposals
