"""The first points of a study that learns from earlier ones: what was best in each, between ordinary ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from paretune.algorithms._base import Problem
from paretune.algorithms._untried import Key
from paretune.earlier import Source, carried
from paretune.records import Proposal
from paretune.space import Value

Array = npt.NDArray[np.float64]

_EVERY = 3  # trials of the start: more of them would cost a study with unrelated sources more
_MOST = 20  # results of a source that are looked at for one that breaks no constraint here
_APART = 0.1  # of a range, in the coordinate that differs most: nearer points would be one try twice


def next_earlier(problem: Problem, taken: set[Key], *, trials: int) -> Proposal | None:
    """The best configuration of the next source at every third trial; None where an ordinary point is due.

    One of each source alone: where a source is of use, its model says more about what comes next to its best.
    """
    if not problem.sources:
        return None
    default = problem.space.default()
    if default is not None and problem.space.key(default) not in taken:
        return None
    if trials % _EVERY != (0 if default is None else 1):
        return None
    for name, config in _first(problem):
        if problem.space.key(config) not in taken:
            return Proposal(config=config, origin=f"best of {name}")
    return None


def _first(problem: Problem) -> Sequence[tuple[str, dict[str, Value]]]:
    """The sources' best configurations with where they come from, none near one before it."""
    found: list[tuple[str, dict[str, Value]]] = []
    seen: list[Array] = []
    for source in problem.sources:
        config = _best(source, problem)
        if config is None:
            continue
        x_d = problem.space.encode(config)
        if all(np.abs(x_d - other_d).max() > _APART for other_d in seen):
            found.append((source.name, config))
            seen.append(x_d)
    return found


def _best(source: Source, problem: Problem) -> dict[str, Value] | None:
    """The source's best result that breaks no constraint here; of several objectives, by the sum of their ranks."""
    space = problem.space
    results = carried(source, space, problem.objectives)
    rank_n = rankdata([result.y_m for result in results], axis=0).sum(axis=1)
    configs = (space.filled(results[i].config) for i in np.argsort(rank_n, kind="stable")[:_MOST])
    return next((config for config in configs if space.legal(config)), None)
