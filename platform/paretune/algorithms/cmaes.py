"""CMA-ES: a normal distribution that moves, stretches and narrows towards the good trials (Hansen, 2016).

The distribution is computed from the history each time, generation by generation, so trials may end in any order and
be under way in any number. One objective; best in 2 to some 40 numbers with hundreds of trials. Ordered values are kept
moving by a margin (Hamano et al., 2022), unordered choices have probabilities of their own beside the distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from paretune.algorithms._base import Problem
from paretune.algorithms._batch import Pending, one_by_one
from paretune.algorithms._cmaes import options
from paretune.algorithms._cmaes.coordinates import Coordinates
from paretune.algorithms._cmaes.replay import Beginning, Search, replay
from paretune.algorithms._cmaes.settings import CMAES
from paretune.algorithms._initial import next_initial
from paretune.algorithms._outcomes import outcomes
from paretune.algorithms._untried import Tried, around, fresh
from paretune.errors import AlgorithmError
from paretune.records import Observation, Proposal, Suggestion

Array = npt.NDArray[np.float64]

_DRAWS = 64  # where the distribution draws nothing but what was tried, the surroundings of the first draw follow


class CovarianceAdaptation:
    """Proposes draws from the distribution that the history has led to.

    What misses a limit ranks behind what keeps it, a failed or diverged trial behind everything; neither has a value.
    """

    Settings = CMAES

    def __init__(self, problem: Problem, settings: CMAES) -> None:
        """Raises AlgorithmError for several objectives, and where no parameter has an order."""
        self._space, self._objectives, self._seed = problem.space, problem.objectives, problem.seed
        self._tried = Tried(problem.space)
        self._coordinates = Coordinates.of(problem.space)
        _check(problem, self._coordinates)
        d = len(problem.space)
        default = problem.space.default()
        middle_d = problem.space.encode(default or {})
        ordered = [place for place, name in enumerate(problem.space) if name in self._coordinates.parameters]
        self._beginning = Beginning(
            space=problem.space,
            coordinates=self._coordinates,
            mean_d=middle_d[ordered],
            sigma=settings.sigma,
            population=settings.population or 4 + math.floor(3 * math.log(d)),
            seed=problem.seed,
        )

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        scores = outcomes(history, self._objectives).scores(len(history))
        search = replay(self._beginning, [observation.config for observation in history], scores.tolist())
        return one_by_one(lambda ahead: self._next(history, ahead, search, rng), pending, n)

    def _next(
        self, history: Sequence[Observation], ahead: Pending, search: Search, rng: np.random.Generator
    ) -> Proposal:
        trials = len(history) + len(ahead)
        if trials < self._beginning.population:
            return next_initial(self._space, self._tried.keys(history, ahead), seed=self._seed, trials=trials)
        draws = self._draws(search, rng)
        first_d = next(draws)
        points = chain([first_d], islice(draws, _DRAWS), around(first_d, rng))
        return Proposal(config=fresh(self._space, points, self._tried, history, ahead, rng), origin="model")

    def _draws(self, search: Search, rng: np.random.Generator) -> Iterator[Array]:
        """Points of the unit cube, all parameters; shape (d,) each."""
        state = search.state
        scale_d = state.sigma * self._coordinates.spread(state, population=search.population)
        root_dd, _ = state.root()
        while True:
            x_d = state.mean_d + scale_d * (root_dd @ rng.standard_normal(len(scale_d)))
            units = {**self._coordinates.values(x_d), **options.draw(search.options, rng)}
            yield np.array([units.get(name, 0.5) for name in self._space])


def _check(problem: Problem, coordinates: Coordinates) -> None:
    if len(problem.objectives) > 1:
        raise AlgorithmError(
            f"algorithm: cmaes: needs one objective, got {len(problem.objectives)}", hint="use gp, tpe or evolution"
        )
    if len(coordinates) == 0:
        raise AlgorithmError(
            "algorithm: cmaes: needs a parameter with an order, got unordered choices only", hint="use gp, tpe or grid"
        )
