"""The first points of a study that learns from earlier ones: what was best there, between ordinary ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from paretune.algorithms._base import Problem
from paretune.algorithms._untried import Key
from paretune.earlier import Source, carried
from paretune.pareto import non_dominated
from paretune.records import Observation, Proposal
from paretune.space import Value

Array = npt.NDArray[np.float64]

_EVERY = 3  # trials of the start: more of them would cost a study with unrelated sources more
_FREE = 3  # sources that may show one point each, whatever became of the others'
_MOST = 20  # results of a source that are looked at: no initial design has as many places
_APART = 0.1  # of a range, in the coordinate that differs most: nearer points would be one try twice


def next_earlier(problem: Problem, history: Sequence[Observation], taken: set[Key], *, trials: int) -> Proposal | None:
    """The best untried configuration of the sources at every third trial, for as long as that pays.

    None: an ordinary point is due.
    """
    if not problem.sources:
        return None
    default = problem.space.default()
    if default is not None and problem.space.key(default) not in taken:
        return None
    if trials % _EVERY != (0 if default is None else 1):
        return None
    first = _first(problem)
    if not _pays(problem, history, {problem.space.key(config) for _, config in first}):
        return None
    for name, config in first:
        if problem.space.key(config) not in taken:
            return Proposal(config=config, origin=f"best of {name}")
    return None


def _pays(problem: Problem, history: Sequence[Observation], first: set[Key]) -> bool:
    """Whether the sources' points did better so far: the best results by half of the objectives are theirs.

    The first points, one of each of up to three sources, have nothing to show for themselves yet.
    """
    known = [o for o in history if o.status == "completed" and not problem.objectives.missing(o.metrics)]
    theirs = [problem.space.key(o.config) in first for o in known]
    if sum(theirs) < min(_FREE, len(problem.sources)):
        return True
    best_m: list[int] = np.argmin([problem.objectives.minimized(o.metrics) for o in known], axis=0).tolist()
    return 2 * sum(theirs[i] for i in best_m) >= len(best_m)


def _first(problem: Problem) -> list[tuple[str, dict[str, Value]]]:
    """The sources' best configurations with where they come from, by turns, none near one before it."""
    space = problem.space
    lines = [(source.name, _best(source, problem)) for source in problem.sources]
    found: list[tuple[str, dict[str, Value]]] = []
    seen: list[Array] = []
    while any(configs for _, configs in lines):
        for name, configs in lines:
            while configs:
                config = configs.pop(0)
                x_d = space.encode(config)
                if all(np.abs(x_d - other_d).max() > _APART for other_d in seen):
                    found.append((name, config))
                    seen.append(x_d)
                    break
    return found


def _best(source: Source, problem: Problem) -> list[dict[str, Value]]:
    """The source's best results or some of its front, those that break no constraint here."""
    space = problem.space
    results = carried(source, space, problem.objectives)
    Y_nm = np.array([result.y_m for result in results])
    one = Y_nm.shape[1] == 1
    order = np.argsort(Y_nm[:, 0], kind="stable") if one else np.flatnonzero(non_dominated(Y_nm))
    configs = [space.filled(results[i].config) for i in order[:_MOST]]
    return [config for config in configs if space.legal(config)]
