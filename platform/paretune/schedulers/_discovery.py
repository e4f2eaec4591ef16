"""Finds schedulers by their files."""

from __future__ import annotations

from pathlib import Path

from paretune.catalogue import Catalogue
from paretune.errors import SchedulerError
from paretune.schedulers._base import Scheduler, Training
from paretune.schedulers._settings import Settings
from paretune.settings import SchedulerSpec
from paretune.study import StudySpec

_SCHEDULERS: Catalogue[Scheduler] = Catalogue(
    "paretune.schedulers", Path(__file__).parent, noun="scheduler", plain=Settings, error=SchedulerError
)


def names() -> list[str]:
    """The schedulers there are, without importing any."""
    return _SCHEDULERS.names()


def settings(chosen: SchedulerSpec) -> Settings:
    """The typed settings of a scheduler; raises SchedulerError for an unknown name or setting."""
    found: Settings = _SCHEDULERS.settings(chosen.name, chosen.settings)
    return found


def create(spec: StudySpec) -> Scheduler:
    """Build a study's scheduler; raises SchedulerError for an unknown name or setting, or for what it must be told."""
    chosen = spec.search.scheduler
    given = settings(chosen)
    length = given.max_resource
    if length is None and given.resource in (None, "epoch"):
        length = spec.train.epochs
    training = Training(
        objectives=spec.objectives,
        parameters=tuple(spec.space),
        trials=spec.search.trials,
        seed=spec.search.seed,
        length=length,
        bounded=spec.search.regret is not None,
    )
    return _SCHEDULERS.kind(chosen.name)(training, given)


def check(spec: StudySpec) -> None:
    """Raise what `create` raises."""
    create(spec)
