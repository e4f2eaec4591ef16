"""One epoch each, then the best few to the end (arXiv:2307.15422): the baseline that other schedulers have to beat."""

from __future__ import annotations

from paretune.records import ENDINGS, Event, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._levels import whole
from paretune.schedulers._rung import rung, usable
from paretune.schedulers._settings import OneEpochTopK


class OneEpochFirst(Scheduler):
    """Pauses every trial at the first rung; when all trials are there, or have ended, promotes the best ones."""

    Settings = OneEpochTopK

    def __init__(self, training: Training, settings: OneEpochTopK) -> None:
        self._length = whole(training, "one_epoch_topk")
        self.rungs = (*([settings.grace] if settings.grace < self._length else []), self._length)
        self._objectives, self._grace, self._keep = training.objectives, settings.grace, settings.keep
        self._results = rung(training.objectives)
        self._expected: set[int] = set()

    def on_report(self, report: Report) -> Decision:
        if report.trial not in self._expected or report.resource < self._grace:
            return "continue"
        self._expected.discard(report.trial)
        if report.resource >= self._length:
            return "continue"
        self._results.add(report.trial, report.metrics)
        if usable(report.metrics, self._objectives):
            return "pause"
        self._results.leave(report.trial)
        return "stop"

    def on_event(self, event: Event) -> None:
        assert event.trial is not None
        if event.kind == "suggested":
            self._expected.add(event.trial)
        elif event.kind == "promoted":
            self._results.leave(event.trial)
        elif event.kind in ENDINGS:
            self._expected.discard(event.trial)
            self._results.leave(event.trial)

    def next_promotion(self, *, last: bool) -> int | None:
        return self._results.waiting(self._keep) if last and not self._expected else None
