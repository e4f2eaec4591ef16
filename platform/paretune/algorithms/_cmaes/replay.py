"""The state of CMA-ES after a history: its trials, cut into generations in the order in which they ended.

Legend: d coordinates, k trials of a generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretune.algorithms._cmaes.coordinates import Coordinates
from paretune.algorithms._cmaes.options import Options, even, moved
from paretune.algorithms._cmaes.state import State, advance, weights
from paretune.space import Config, Space

Array = npt.NDArray[np.float64]

_NARROW = 1e-5  # of a parameter's range: a distribution narrower than that everywhere has nothing left to tell apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where the search stands: the distributions, the size of a generation, and how often it began anew."""

    state: State
    options: Options
    population: int
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a search begins with; `mean_d` is of its first start, later ones begin anywhere."""

    space: Space
    coordinates: Coordinates
    mean_d: Array
    sigma: float
    population: int
    seed: int

    def start(self, restarts: int) -> Search:
        """Anew, with twice the population each time (IPOP: Auger and Hansen, 2005)."""
        anywhere_d = np.random.default_rng([self.seed, restarts]).random(len(self.coordinates))
        return Search(
            state=State.start(self.mean_d if restarts == 0 else anywhere_d, self.sigma),
            options=even(self.space),
            population=self.population * 2**restarts,
            restarts=restarts,
        )


def replay(beginning: Beginning, configs: Sequence[Config], scores: Sequence[float]) -> Search:
    """The search after trials with these scores, less is better, infinite for what came to nothing."""
    search, done = beginning.start(0), 0
    while done + search.population <= len(configs):
        part = slice(done, done + search.population)
        done += search.population
        search = _after(beginning, search, configs[part], np.asarray(scores[part]), number=done)
    return search


def _after(beginning: Beginning, search: Search, configs: Sequence[Config], score_k: Array, *, number: int) -> Search:
    """The search after one generation. What came to nothing is no parent, and where all is alike nothing is learnt."""
    order = np.argsort(score_k, kind="stable")
    best = order[np.isfinite(score_k[order])][: search.population // 2]
    if len(best) == 0 or np.ptp(score_k) == 0:
        return search
    w_k = weights(search.population)[: len(best)]
    w_k = w_k / w_k.sum()

    rng = np.random.default_rng([beginning.seed, number])
    state, coordinates = search.state, beginning.coordinates
    spread_d = coordinates.spread(state, population=search.population)
    x_kd = np.array([coordinates.point(configs[i], state, spread_d, rng) for i in best])
    state = advance(state, (x_kd - state.mean_d) / (state.sigma * spread_d), w_k, spread_d=spread_d)
    if state.sd_d.max() < _NARROW:
        return beginning.start(search.restarts + 1)
    options = moved(beginning.space, search.options, [configs[i] for i in best], w_k)
    return Search(state=state, options=options, population=search.population, restarts=search.restarts)
