"""Hyperband (Li et al., 2018, JMLR 18:185): brackets of successive halving, each rung promoted when it is complete.

Trials fill the brackets in the order of their numbers. While a rung waits for its last trials, free workers start those
of the next bracket, so that none is idle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from paretune.records import ENDINGS, Event, Metrics, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._forecasts import Forecasts
from paretune.schedulers._levels import levels, whole
from paretune.schedulers._rung import Rung, rung, usable
from paretune.schedulers._settings import Hyperband


class SynchronousHalving(Scheduler):
    """Of a rung's n trials the best n // eta go on (at least one), once all have come or ended.

    When no trial will be started any more, what a rung has is all it gets. A report beyond a rung counts there. Trials
    that the algorithm wants whole go on past every rung, and count there; where it forecasts the end of a training,
    rungs compare how trials are expected to end.
    """

    Settings = Hyperband

    def __init__(self, training: Training, settings: Hyperband) -> None:
        self._length = whole(training, "hyperband")
        self._objectives, self._factor = training.objectives, settings.reduction_factor
        self._levels = levels(settings.grace, settings.reduction_factor, self._length)
        self.rungs = (*self._levels, self._length)
        self._sizes = _sizes(len(self._levels) + 1, settings)
        self._forecasts = Forecasts(training.objectives)
        self._open: dict[int, _Bracket] = {}
        self._of: dict[int, _Bracket] = {}

    def on_report(self, report: Report) -> Decision:
        bracket = self._of.get(report.trial)
        if bracket is not None and report.resource >= self._length:
            bracket.left(report.trial)
        if bracket is None or not bracket.due(report):
            return "continue"
        fit = usable(report.metrics, self._objectives)
        bracket.came(report.trial, self._forecasts.expected(report, bracket.level(report.trial)), fit=fit)
        if fit and self._forecasts.wants_whole(report.trial):
            bracket.promoted(report.trial)
            return "continue"
        self._close(bracket)
        return "pause" if fit else "stop"

    def on_event(self, event: Event) -> None:
        assert event.trial is not None
        self._forecasts.on_event(event)
        if event.kind == "suggested":
            self._joins(event.trial)
        bracket = self._of.get(event.trial)
        if bracket is None:
            return
        if event.kind == "promoted":
            bracket.promoted(event.trial)
        elif event.kind in ENDINGS:
            bracket.left(event.trial)
            del self._of[event.trial]
        self._close(bracket)

    def next_promotion(self, *, last: bool) -> int | None:
        chosen = (bracket.next_promotion(last=last) for bracket in self._open.values())
        return next((trial for trial in chosen if trial is not None), None)

    def _joins(self, trial: int) -> None:
        cycle, place = divmod(trial, sum(self._sizes))
        index = 0
        while place >= self._sizes[index]:
            place, index = place - self._sizes[index], index + 1
        if index == len(self._levels):
            return  # the last bracket trains every trial to the end
        number = cycle * len(self._sizes) + index
        if number not in self._open:
            self._open[number] = _Bracket(
                number,
                size=self._sizes[index],
                factor=self._factor,
                rounds=[_Round(level, rung(self._objectives)) for level in self._levels[index:]],
            )
        self._of[trial] = self._open[number]
        self._of[trial].joins(trial)

    def _close(self, bracket: _Bracket) -> None:
        if bracket.over:
            self._open.pop(bracket.number, None)


@dataclass(slots=True)
class _Round:
    """One rung of one bracket: how many belong to it, who of them is still expected."""

    level: float
    results: Rung
    members: int = 0
    expected: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Bracket:
    """Successive halving of `size` trials; `at` has the index of each trial's round."""

    number: int
    size: int
    factor: int
    rounds: list[_Round]
    at: dict[int, int] = field(default_factory=dict)

    def joins(self, trial: int, index: int = 0) -> None:
        self.at[trial] = index
        if index < len(self.rounds):
            self.rounds[index].members += 1
            self.rounds[index].expected.add(trial)

    def due(self, report: Report) -> bool:
        """Whether the report is the one that its trial's rung waits for."""
        index = self.at[report.trial]
        if index == len(self.rounds):
            return False
        here = self.rounds[index]
        return report.trial in here.expected and report.resource >= here.level

    def level(self, trial: int) -> float:
        """The resource of the rung that the trial is due at."""
        return self.rounds[self.at[trial]].level

    def came(self, trial: int, metrics: Metrics, *, fit: bool) -> None:
        here = self.rounds[self.at[trial]]
        here.expected.discard(trial)
        here.results.add(trial, metrics)
        if not fit:
            here.results.leave(trial)

    def left(self, trial: int) -> None:
        """The trial ended; it waits nowhere, and no rung waits for it."""
        if self.at[trial] < len(self.rounds):
            here = self.rounds[self.at[trial]]
            here.expected.discard(trial)
            here.results.leave(trial)

    def promoted(self, trial: int) -> None:
        self.rounds[self.at[trial]].results.leave(trial)
        self.joins(trial, self.at[trial] + 1)

    def next_promotion(self, *, last: bool) -> int | None:
        """Of the lowest rung that has somebody to promote: those above wait for it."""
        missing = not last and self.rounds[0].members < self.size
        for here in self.rounds:
            if missing or here.expected:
                return None
            best = here.results.waiting(max(1, here.members // self.factor))
            if best is not None:
                return best
        return None

    @property
    def over(self) -> bool:
        """Whether every rung is complete and nobody waits to be promoted."""
        complete = self.rounds[0].members == self.size and not any(here.expected for here in self.rounds)
        return complete and self.next_promotion(last=False) is None


def _sizes(rungs: int, settings: Hyperband) -> list[int]:
    """How many trials each bracket has (Li et al., algorithm 1); `rungs` counts the end of the training as one."""
    exponents = reversed(range(rungs))
    sizes = [-(-rungs * settings.reduction_factor**exponent // (exponent + 1)) for exponent in exponents]
    return sizes[: settings.brackets]
