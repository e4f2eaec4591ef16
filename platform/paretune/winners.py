"""Which trials of a study are the ones to look at: the front, and the best by one objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from paretune.errors import InputError, ObjectiveError, nearest
from paretune.log import Trial
from paretune.objective import Objectives
from paretune.pareto import non_dominated


def contenders(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """The trials that ended well, with every objective, and keep every limit."""
    return [
        trial
        for trial in trials
        if trial.status in ("completed", "stopped")
        and not objectives.missing(trial.metrics)
        and objectives.feasible(trial.metrics)
    ]


def front(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """The contenders that no other one dominates, from the best to the worst by the first objective."""
    rivals = contenders(trials, objectives)
    if not rivals:
        return []
    Y_nm = np.array([objectives.minimized(trial.metrics) for trial in rivals])
    kept = np.flatnonzero(non_dominated(Y_nm)).tolist()
    return [rivals[i] for i in sorted(kept, key=lambda i: (*Y_nm[i].tolist(), rivals[i].id))]


def best(trials: Iterable[Trial], objectives: Objectives, objective: str | None = None) -> Trial:
    """The contender that is best by one objective, the earliest of equals; a single objective need not be named.

    Raises ObjectiveError for an objective that is not one, InputError where no trial contends.
    """
    place = _place(objectives.names, objective)
    rivals = contenders(trials, objectives)
    if not rivals:
        raise InputError(
            f"best: needs a trial that ended well{_within(objectives)}, there is none yet",
            hint="run more trials" + (", or relax the limits" if _within(objectives) else ""),
        )
    return min(rivals, key=lambda trial: (float(objectives.minimized(trial.metrics)[place]), trial.id))


def _place(names: Sequence[str], objective: str | None) -> int:
    if objective is None and len(names) == 1:
        return 0
    if objective is None:
        raise ObjectiveError(
            f"best: must name one of {len(names)} objectives, got none", hint=f'best("{names[0]}"), or front()'
        )
    if objective not in names:
        raise ObjectiveError(f"best: no objective {objective!r}", hint=nearest(objective, names))
    return names.index(objective)


def _within(objectives: Objectives) -> str:
    return " within the limits" if np.isfinite(objectives.limits()).any() else ""
