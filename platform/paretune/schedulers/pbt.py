"""Population based training (Jaderberg et al., 2017, arXiv:1711.09846), with trials whose configurations never change.

A member of the population is a trial from one exploit to the next: the worst of an interval are stopped, and new trials
go on from the checkpoints of the best with changed configurations (`paretune.algorithms` proposes them). So the whole
of it is in the log, and replays.

The paper's members judge themselves by the others' latest results, wherever these are in their training. Here members
are compared at equal resources, and who is replaced does not depend on who came first: at each interval the worst of
those who have come wait; one that is no longer among them goes on, and who is among them when all have come is stopped.
So no more than the worst `quantile` of the population ever waits, and its workers are free for others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from paretune.errors import SchedulerError, nearest
from paretune.population import Places
from paretune.records import ENDINGS, Descent, Event, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._levels import reached, whole
from paretune.schedulers._rung import Rung, rung, usable
from paretune.schedulers._settings import PBT

_INTERVALS = 10  # of a training, unless it is said how long they are


@dataclass(slots=True)
class _Interval:
    """The end of one interval in one population.

    `jumped` is how many members never reported there, `saved` the last checkpoint that each had then.
    """

    results: Rung
    jumped: int = 0
    saved: dict[int, str | None] = field(default_factory=dict)


class PopulationBasedTraining(Scheduler):
    """Stops the worst of a population at each interval; their places are for copies of the best.

    A trial that fails or diverges leaves its place as well. When all members have completed, another population begins,
    which has nothing to do with the one before. When no trial will be started any more, the members that are left are
    compared among themselves.
    """

    Settings = PBT

    def __init__(self, training: Training, settings: PBT) -> None:
        length = whole(training, "pbt")
        self._levels = _levels(settings.interval or ceil(length / _INTERVALS), length)
        _check(training, settings, intervals=len(self._levels))
        self.rungs, self._size = (*self._levels, length), settings.population
        self._length, self._share, self._objectives = length, settings.share, training.objectives
        self._places = Places(settings.population)
        self._intervals = defaultdict[tuple[int, int], _Interval](lambda: _Interval(rung(self._objectives)))
        self._next: dict[int, int] = {}  # trial -> index of the interval that it comes to next
        self._living: set[int] = set()
        self._vacant: set[int] = set()  # trials whose places nobody has taken yet
        self._waiting: dict[int, int] = {}  # trial -> index of the interval where it is paused, in order of arrival
        self._checkpoint: dict[int, str | None] = {}  # the last one of each living trial

    def on_report(self, report: Report) -> Decision:
        trial, at = report.trial, reached(self._levels, report.resource)
        self._checkpoint[trial] = report.checkpoint or self._checkpoint[trial]
        if not usable(report.metrics, self._objectives):
            return "stop"
        if at < self._next[trial]:
            return "continue"
        over = report.resource >= self._length
        for jumped in range(self._next[trial], at + over):
            self._interval(trial, jumped).jumped += 1
        self._next[trial] = at + 1
        if over:
            return "continue"
        here = self._interval(trial, at)
        here.results.add(trial, report.metrics)
        here.saved[trial] = self._checkpoint[trial]
        return self._verdict(trial, at, last=False)

    def on_event(self, event: Event) -> None:
        assert event.trial is not None
        if event.kind == "suggested" and event.suggestion is not None:
            self._joins(event.trial, event.suggestion.proposal.descent)
        elif event.kind == "paused":
            self._waiting[event.trial] = self._next[event.trial] - 1
        elif event.kind == "promoted":
            del self._waiting[event.trial]
        elif event.kind in ENDINGS:
            self._waiting.pop(event.trial, None)
            self._living.discard(event.trial)
            if event.kind != "completed":
                self._vacant.add(event.trial)

    @property
    def room(self) -> int:
        """The places of the present population that are vacant or were never taken; a whole one when it has ended."""
        return len(self._vacant) + (-self._places.opened % self._size or (0 if self._living else self._size))

    def next_promotion(self, *, last: bool) -> int | None:
        return self._next_with("continue", last=last)

    def next_stop(self, *, last: bool) -> int | None:
        return self._next_with("stop", last=last)

    def spared(self, *, last: bool) -> Collection[str]:
        """Those that living trials have inherited, and those of the intervals where a place may still be filled."""
        lowest = defaultdict[int, int](lambda: len(self._levels))  # population -> index of its first such interval
        for trial in self._living if last else self._living | self._vacant:
            population = self._places[trial]
            lowest[population] = min(lowest[population], self._next[trial] - 1)
        wanted = [self._checkpoint[trial] for trial in self._living]
        for population, first in lowest.items():
            for at in range(max(first, 0), len(self._levels)):
                wanted += self._intervals[population, at].saved.values()
        return {name for name in wanted if name is not None}

    def _joins(self, trial: int, descent: Descent | None) -> None:
        self._places.take(trial, descent)
        self._living.add(trial)
        self._next[trial], self._checkpoint[trial] = 0, None
        if descent is None:
            return
        self._vacant.discard(descent.instead_of)
        if descent.parent is not None:
            at = reached(self._levels, descent.resource)
            self._next[trial] = at + 1
            self._checkpoint[trial] = self._interval(trial, at).saved[descent.parent]

    def _interval(self, trial: int, at: int) -> _Interval:
        return self._intervals[self._places[trial], at]

    def _next_with(self, verdict: Literal["continue", "stop"], *, last: bool) -> int | None:
        waiting = self._waiting.items()
        return next((trial for trial, at in waiting if self._verdict(trial, at, last=last) == verdict), None)

    def _verdict(self, trial: int, at: int, *, last: bool) -> Decision:
        """What becomes of a trial by what is known of an interval: "pause" while those to come may still decide it."""
        here = self._interval(trial, at)
        come, all_n = len(here.results), len(here.results) + self._to_come(trial, at, last=last)
        worst, place = self._share(all_n), here.results.place(trial)
        if place < come - worst:
            return "continue"
        return "stop" if place >= all_n - worst else "pause"

    def _to_come(self, trial: int, at: int, *, last: bool) -> int:
        """How many members the trial's population has that will report at this interval, or their successors."""
        population, here = self._places[trial], self._interval(trial, at)
        if not last:
            return self._size - here.jumped - len(here.results)
        return sum(self._places[other] == population and self._next[other] <= at for other in self._living)


def _levels(interval: float, length: float) -> list[float]:
    """The ends of the intervals, by multiplication, but for the training's own."""
    found: list[float] = []
    while (level := interval * (len(found) + 1)) < length:
        found.append(level)
    return found


def _check(training: Training, settings: PBT, *, intervals: int) -> None:
    """Raise SchedulerError for what could not work as it is meant to."""
    replaced = settings.share(settings.population)
    if intervals == 0:
        raise SchedulerError(
            f"scheduler: pbt: interval must be shorter than the training, got {settings.interval} of {training.length}",
            hint="a tenth of it is common; leave interval out for that",
        )
    if replaced == 0:
        raise SchedulerError(
            f"scheduler: pbt: quantile must be at least one of the population, got {settings.quantile:g} of "
            f"{settings.population}",
            hint=f"quantile: {1 / settings.population:.3g}, or a larger population",
        )
    if training.trials <= settings.population:
        useful = settings.population + replaced * intervals
        raise SchedulerError(
            f"scheduler: pbt: trials must be more than the population of {settings.population}, as those that follow "
            f"on its worst are trials too, got {training.trials}",
            hint=f"search: {{trials: {useful}}} is what one population comes to, or a smaller population",
        )
    if training.bounded:
        raise SchedulerError(
            "scheduler: pbt: regret cannot be told where configurations change on the way", hint="leave regret out"
        )
    for name in settings.tune or ():
        if name not in training.parameters:
            raise SchedulerError(
                f"scheduler: pbt: tune: {name!r} is no parameter", hint=nearest(name, training.parameters)
            )
