"""Which trials of a study are the ones to look at: the front, and the best by one objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from paretune.errors import InputError, ObjectiveError, nearest
from paretune.log import Trial
from paretune.objective import Objectives
from paretune.pareto import non_dominated
from paretune.records import Status


def contends(status: Status, metrics: Mapping[str, float], objectives: Objectives) -> bool:
    """Whether a trial counts: it ran to completion, has every metric that is required, and keeps every limit.

    A trial that was stopped does not: what it has are the values of a training cut short.
    """
    return status == "completed" and not objectives.missing(metrics) and objectives.feasible(metrics)


def contenders(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """The trials that count, in the order given."""
    return [trial for trial in trials if contends(trial.status, trial.metrics, objectives)]


def front(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """The contenders that no other one dominates, from the best to the worst by the first objective."""
    found = contenders(trials, objectives)
    if not found:
        return []
    Y_nm = np.array([objectives.minimized(trial.metrics) for trial in found])
    kept = np.flatnonzero(non_dominated(Y_nm)).tolist()
    return [found[i] for i in sorted(kept, key=lambda i: (*Y_nm[i].tolist(), found[i].id))]


def best(trials: Iterable[Trial], objectives: Objectives, objective: str | None = None) -> Trial:
    """The contender with the best value seen of one objective, the earliest of equals.

    A single objective need not be named. Raises ObjectiveError for an objective that is not one, InputError where no
    trial contends. The value may be luck: see `recommendation`.
    """
    index = place(objectives.names, objective)
    return min(rivals(trials, objectives), key=lambda t: (float(objectives.minimized(t.metrics)[index]), t.id))


def rivals(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """The contenders, at least one; raises InputError where there is none."""
    found = contenders(trials, objectives)
    if not found:
        raise InputError(
            f"best: needs a completed trial{_within(objectives)}, there is none yet",
            hint="run more trials" + (", or relax the limits" if _within(objectives) else ""),
        )
    return found


def place(names: Sequence[str], objective: str | None) -> int:
    """Which of the objectives is meant; raises ObjectiveError for another name, or for none where there are several."""
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
    return " within the limits" if objectives.bounds else ""
