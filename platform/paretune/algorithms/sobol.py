"""Quasi-random search: one scrambled Sobol sequence for the whole study (Sobol, 1967; Owen, 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paretune.algorithms._base import Problem
from paretune.algorithms._initial import next_initial
from paretune.algorithms._settings import Settings
from paretune.algorithms._untried import Tried
from paretune.records import Observation, Proposal, Suggestion


class Sobol:
    """The default configuration, then the points of the sequence in order, those left out that were tried already.

    Nothing counts the points: the next one is the first untried, so a resumed study goes on with the same sequence.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._space, self._seed = problem.space, problem.seed
        self._tried = Tried(problem.space)

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        taken = self._tried.keys(history, pending)
        trials = len(history) + len(pending)
        proposals: list[Proposal] = []
        for number in range(trials, trials + n):
            proposals.append(next_initial(self._space, taken, seed=self._seed, trials=number))
            taken.add(self._space.key(proposals[-1].config))
        return proposals
