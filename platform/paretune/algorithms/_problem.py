"""The problem that a spec sets."""

from __future__ import annotations

from paretune import schedulers
from paretune.algorithms._base import Problem
from paretune.earlier import Source
from paretune.study import StudySpec


def problem_of(spec: StudySpec, sources: tuple[Source, ...] = ()) -> Problem:
    """What the algorithm of a study is made for; raises SchedulerError for what `schedulers.create` refuses."""
    chosen = schedulers.settings(spec.search.scheduler)
    return Problem(
        space=spec.space,
        objectives=spec.objectives,
        seed=spec.search.seed,
        first=spec.first,
        sources=sources,
        rungs=schedulers.create(spec).rungs,
        succession=chosen if isinstance(chosen, schedulers.PBT) else None,
    )
