"""Evolutionary search: NSGA-II (Deb et al., 2002), one child at a time (steady state: Durillo et al., 2009).

The population is the best of all results, by constrained domination and crowding; a child of two parents from it is the
next proposal. Nothing is kept from generation to generation, so trials may end in any order. It needs many trials
(hundreds), but costs next to nothing, and no number of objectives is too many for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from paretune.algorithms._base import Problem
from paretune.algorithms._batch import Pending, one_by_one
from paretune.algorithms._evolution.settings import Evolution
from paretune.algorithms._evolution.variation import Variation, tournament
from paretune.algorithms._initial import next_initial
from paretune.algorithms._outcomes import outcomes
from paretune.algorithms._untried import Tried, around, fresh
from paretune.pareto import best_first
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import Config

Array = npt.NDArray[np.float64]

_CHILDREN = 64  # where children keep repeating what was tried, the surroundings of the first one follow


class NSGA2:
    """Proposes children of the best trials. Failed and diverged ones have none; limits come before objectives."""

    Settings = Evolution

    def __init__(self, problem: Problem, settings: Evolution) -> None:
        self._space, self._objectives, self._seed = problem.space, problem.objectives, problem.seed
        self._tried = Tried(problem.space)
        self._population = settings.population
        self._variation = Variation(problem.space, crossover=settings.crossover, mutation=settings.mutation)

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        parents = self._parents(history)
        return one_by_one(lambda ahead: self._next(history, ahead, parents, rng), pending, n)

    def _parents(self, history: Sequence[Observation]) -> list[Config]:
        known = outcomes(history, self._objectives)
        return [known.configs[i] for i in best_first(known.Y_nm, known.violation_n)[: self._population]]

    def _next(
        self, history: Sequence[Observation], ahead: Pending, parents: list[Config], rng: np.random.Generator
    ) -> Proposal:
        trials = len(history) + len(ahead)
        if len(parents) < 2 or trials < self._population:
            return next_initial(self._space, self._tried.keys(history, ahead), seed=self._seed, trials=trials)
        children = self._children(parents, rng)
        first_d = next(children)
        points = chain([first_d], islice(children, _CHILDREN), around(first_d, rng))
        return Proposal(config=fresh(self._space, points, self._tried, history, ahead, rng), origin="model")

    def _children(self, parents: list[Config], rng: np.random.Generator) -> Iterator[Array]:
        while True:
            mother, father = (parents[tournament(len(parents), rng)] for _ in range(2))
            yield self._variation.child(mother, father, rng)
