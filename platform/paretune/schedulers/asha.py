"""Asynchronous successive halving (ASHA: Li et al., 2020, arXiv:1810.05934), stopping or promoting; many objectives.

With brackets, trials are shared out as by Hyperband (Li et al., 2018, JMLR 18:185): of K rungs, the end of the training
among them, a bracket that leaves out the first b gets a share proportional to eta^(K-1-b) K / (K - b).
"""

from __future__ import annotations

import numpy as np

from paretune.records import ENDINGS, Event, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._forecasts import Forecasts
from paretune.schedulers._levels import levels, reached, whole
from paretune.schedulers._rung import Rung, rung, usable
from paretune.schedulers._settings import ASHA


class AsynchronousHalving(Scheduler):
    """A trial goes on past a rung when it is among the best 1/eta of those that came as far.

    Stopping, it is judged on arrival: equal results go on alike, and a rung of fewer than eta results stops nobody.
    Promoting, it goes on at once or is paused until the best 1/eta have grown to hold it; higher rungs come first. When
    no trial will be started any more, the best of a rung goes on however few there are, so that one is trained to the
    end. A trial that diverges counts as the worst result of its next rung, one that fails counts nowhere. A report that
    jumps over rungs counts at the highest of them.

    Trials that the algorithm wants whole go on past every rung, where their results count all the same. Where it
    forecasts the end of a training, rungs compare how trials are expected to end: one goes on when it keeps what it
    promised as it was suggested, or when it is among the best 1/eta and may yet, with a chance of one in ten, be
    better than all others (see `Forecasts`).
    """

    Settings = ASHA

    def __init__(self, training: Training, settings: ASHA) -> None:
        self._length = whole(training, "asha")
        self._objectives, self._seed = training.objectives, training.seed
        self._factor, self._promotes = settings.reduction_factor, settings.kind == "promote"
        self._levels = levels(settings.grace, settings.reduction_factor, self._length)
        self.rungs = (*self._levels, self._length)
        self._shares = _shares(len(self._levels) + 1, settings)
        self._rungs = [[rung(training.objectives) for _ in self._levels] for _ in self._shares]
        self._next: dict[int, int] = {}  # trial -> index of its next rung
        self._waits: dict[int, Rung] = {}  # where a trial is paused
        self._forecasts = Forecasts(training.objectives)

    def on_report(self, report: Report) -> Decision:
        trial, at = report.trial, reached(self._levels, report.resource)
        bracket = self._bracket(trial)
        if report.resource >= self._length or at < self._next.get(trial, bracket):
            return "continue"
        self._next[trial] = at + 1
        here = self._rungs[bracket][at]
        here.add(trial, self._forecasts.expected(report, self._levels[at]))
        if not usable(report.metrics, self._objectives):
            here.leave(trial)
            return "stop"
        fits = self._forecasts.fits(report, self._levels[at], 1 / self._factor)
        if self._forecasts.wants_whole(trial) or fits:
            here.leave(trial)
            return "continue"
        return self._promoted_or_paused(here, trial) if self._promotes else self._judged(here, trial, fits)

    def on_event(self, event: Event) -> None:
        assert event.trial is not None
        self._forecasts.on_event(event)
        if event.kind == "promoted" or event.kind in ENDINGS:
            waits = self._waits.pop(event.trial, None)
            if waits is not None:
                waits.leave(event.trial)
        if event.kind == "diverged":
            self._diverged(event.trial)

    def next_promotion(self, *, last: bool) -> int | None:
        for at in reversed(range(len(self._levels))):
            for bracket in self._rungs:
                best = bracket[at].waiting(max(len(bracket[at]) // self._factor, int(last)))
                if best is not None:
                    return best
        return None

    def _judged(self, here: Rung, trial: int, fits: bool | None) -> Decision:
        here.leave(trial)
        if fits is not None:
            return "stop"
        share = len(here) // self._factor
        return "continue" if share == 0 or here.better(trial) < share else "stop"

    def _promoted_or_paused(self, here: Rung, trial: int) -> Decision:
        if here.waiting(len(here) // self._factor) == trial:
            here.leave(trial)
            return "continue"  # the workers that a pause would free would take it up again
        self._waits[trial] = here
        return "pause"

    def _diverged(self, trial: int) -> None:
        bracket = self._bracket(trial)
        at = self._next.get(trial, bracket)
        if at < len(self._levels):
            self._rungs[bracket][at].add(trial, {})
            self._rungs[bracket][at].leave(trial)

    def _bracket(self, trial: int) -> int:
        """How many of the first rungs are left out for this trial."""
        if len(self._shares) == 1:
            return 0
        return int(np.random.default_rng([self._seed, trial]).choice(len(self._shares), p=self._shares))


def _shares(rungs: int, settings: ASHA) -> list[float]:
    """Each bracket's share of all trials; `rungs` counts the end of the training as one."""
    brackets = range(min(settings.brackets, rungs))
    sizes = [settings.reduction_factor ** (rungs - 1 - left_out) * rungs / (rungs - left_out) for left_out in brackets]
    return [size / sum(sizes) for size in sizes]
