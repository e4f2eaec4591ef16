"""The tree-structured Parzen estimator (Bergstra et al., 2011; multivariate: Falkner et al., 2018), Optuna's.

The trials are split into a good part and the rest; a proposal is, of some draws from the good part's density, the one
with the largest ratio of the two densities. Parameters that are always present together share a density, so deep
conditions cost it nothing, and it costs milliseconds in many dimensions. Several objectives are split by
non-domination and hypervolume (MOTPE: Ozaki et al., 2020), trials beyond a limit count as worse than all within.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import numpy.typing as npt
from optuna.samplers import TPESampler

from paretune.algorithms._base import Problem
from paretune.algorithms._batch import Pending, one_by_one
from paretune.algorithms._initial import next_initial
from paretune.algorithms._outcomes import Outcomes, outcomes
from paretune.algorithms._tpe.settings import TPE
from paretune.algorithms._tpe.trials import distributions, quiet, study, to_unit
from paretune.algorithms._untried import Tried, around, fresh
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import INACTIVE, Config, Value

Array = npt.NDArray[np.float64]

_DRAWS = 8  # where the density draws nothing but what was tried (1-2 ms each at 100 trials), its surroundings follow


class TreeParzenEstimator:
    """Proposes what resembles the good trials more than the others.

    Failed and diverged trials count as worse than every result, pending ones as belonging to the worse part, so that
    parallel proposals differ.
    """

    Settings = TPE

    def __init__(self, problem: Problem, settings: TPE) -> None:
        self._space, self._objectives, self._seed = problem.space, problem.objectives, problem.seed
        self._tried = Tried(problem.space)
        self._settings = settings
        self._multivariate = len(problem.objectives) == 1 if settings.multivariate is None else settings.multivariate

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        known = outcomes(history, self._objectives)
        return one_by_one(lambda ahead: self._next(history, ahead, known, rng), pending, n)

    def _next(
        self, history: Sequence[Observation], ahead: Pending, known: Outcomes, rng: np.random.Generator
    ) -> Proposal:
        trials = len(history) + len(ahead)
        if len(known.configs) < 2 or trials < self._settings.initial:
            return next_initial(self._space, self._tried.keys(history, ahead), seed=self._seed, trials=trials)
        draws = self._draws(known, [entry.config for entry in ahead], seed=int(rng.integers(2**31)))
        points = list(islice(draws, 1))
        candidates = chain(points, islice(draws, _DRAWS - 1), around(points[0], rng))
        config = fresh(self._space, candidates, self._tried, history, ahead, rng)
        return Proposal(config=config, origin="model")

    def _draws(self, known: Outcomes, waiting: list[Config], *, seed: int) -> Iterator[Array]:
        """Points of the unit cube from one and the same density; shape (d,) each."""
        held = distributions(self._space)
        with quiet():
            sampler = TPESampler(
                seed=seed,
                n_startup_trials=0,
                n_ei_candidates=self._settings.candidates,
                multivariate=self._multivariate,
                group=self._multivariate,
            )
            made = study(self._space, known, [*waiting, {}], held=held)
        asked = made.get_trials(deepcopy=False)[-1]
        while True:
            together = sampler.sample_relative(made, asked, sampler.infer_relative_search_space(made, asked))
            x_d = np.full(len(self._space), INACTIVE)
            config: dict[str, Value] = {}
            for place, (name, parameter) in enumerate(self._space.items()):
                if not self._space.is_active(name, config):
                    continue
                if name in held:
                    drawn = together.get(name)
                    if drawn is None:
                        drawn = sampler.sample_independent(made, asked, name, held[name])
                    x_d[place] = to_unit(drawn, held[name])
                config[name] = parameter.from_unit(float(x_d[place]))
            yield x_d
