"""The median stopping rule (Golovin et al., 2017, Google Vizier, section 3.2.1), for any number of objectives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from paretune.records import Event, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._forecasts import Forecasts
from paretune.schedulers._levels import levels
from paretune.schedulers._rung import Rung, rung, usable
from paretune.schedulers._settings import Median

_APART = 3  # each rung that algorithms compare trials at, times the one before; trials end at any report


@dataclass(slots=True)
class _Running:
    """A trial's sums over its reports so far."""

    resource: float = 0.0
    reports: int = 0
    sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class MedianRule(Scheduler):
    """A trial ends when the mean of its reports so far is in the worse half of those at the same resource.

    The half is by value, and by non-domination where there are several objectives. (Vizier compares a trial's best
    value so far; a mean against means is as fair to noisy and to several objectives.) Trials are compared at equal
    resources: they should report at the same ones. Trials that the algorithm wants whole do not end; where it forecasts
    the end of a training, at a rung the expected ends are compared instead (see `Forecasts`).
    """

    Settings = Median

    def __init__(self, training: Training, settings: Median) -> None:
        self._objectives, self._length = training.objectives, training.length
        self.rungs = () if self._length is None else (*levels(settings.grace, _APART, self._length), self._length)
        self._forecasts = Forecasts(training.objectives)
        self._grace, self._others = settings.grace, settings.others
        self._rungs = defaultdict[float, Rung](lambda: rung(self._objectives))
        self._running = defaultdict[int, _Running](_Running)

    def on_report(self, report: Report) -> Decision:
        mine = self._running[report.trial]
        if report.resource <= mine.resource:
            return "continue"  # told before: an attempt began at an older checkpoint
        mine.resource, mine.reports = report.resource, mine.reports + 1
        if not usable(report.metrics, self._objectives):
            return "stop"
        for name in self._objectives.required:
            mine.sums[name] += report.metrics[name]
        here = self._rungs[report.resource]
        here.add(report.trial, {name: total / mine.reports for name, total in mine.sums.items()})
        spared = self._forecasts.wants_whole(report.trial) or self._through(report.resource)
        if report.resource < self._grace or len(here) <= self._others or spared:
            return "continue"
        if report.resource in self.rungs:
            fits = self._forecasts.fits(report, report.resource, 0.5)
            if fits is not None:
                return "continue" if fits else "stop"
        return "continue" if here.better(report.trial) < (len(here) + 1) // 2 else "stop"

    def on_event(self, event: Event) -> None:
        self._forecasts.on_event(event)

    def next_promotion(self, *, last: bool) -> int | None:
        return None

    def _through(self, resource: float) -> bool:
        return self._length is not None and resource >= self._length
