"""What an algorithm with a model of whole trainings foretells, and how trials are compared by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paretune.objective import Objectives
from paretune.pareto import non_dominated
from paretune.records import ENDINGS, Event, Forecast, Metrics, Report
from paretune.schedulers._rung import rung, usable

_HOPE = 1.28
"""Standard deviations by which an end may be better than expected: in one case of ten it is."""


class Forecasts:
    """Trials wanted whole, and forecasts of their ends: see `Proposal.whole` and `Forecast`.

    A trial is judged against what was expected of it and of the others when it was suggested, where that is told:
    forecasts made at different times do not compare.
    """

    def __init__(self, objectives: Objectives) -> None:
        self._objectives, self._signs = objectives, objectives.signs
        self._whole: set[int] = set()
        self._forecasts: dict[int, Forecast] = {}
        self._promised: dict[int, Metrics] = {}

    def on_event(self, event: Event) -> None:
        """Take note of a suggestion, and forget what has ended."""
        assert event.trial is not None
        if event.kind == "suggested" and event.suggestion is not None:
            proposal = event.suggestion.proposal
            if proposal.whole:
                self._whole.add(event.trial)
            if proposal.forecast is not None:
                self._forecasts[event.trial] = proposal.forecast
                self._promised[event.trial] = proposal.mean or {}
        elif event.kind in ENDINGS:
            self._whole.discard(event.trial)
            self._forecasts.pop(event.trial, None)
            self._promised.pop(event.trial, None)

    def wants_whole(self, trial: int) -> bool:
        return trial in self._whole

    def expected(self, report: Report, level: float) -> Metrics:
        """How the trial is expected to end, by its report at a rung; what it reported, without a forecast."""
        forecast = self._forecasts.get(report.trial)
        if forecast is None or not usable(report.metrics, self._objectives):
            return report.metrics
        return forecast.final(level, report.metrics)

    def fits(self, report: Report, level: float, share: float) -> bool | None:
        """Whether the trial keeps its promise, or is among this share of the best and may be better than all others.

        It keeps its promise as long as nothing about its end is expected to be worse than it was when the trial was
        suggested: what was worth starting is then worth going on with, and rungs that tell nothing stop nobody. The
        others are compared by their expected ends. None where these are not known, or the report is not usable.
        """
        forecast = self._forecasts.get(report.trial)
        others = () if forecast is None else forecast.others.get(level, ())
        if forecast is None or not others or not usable(report.metrics, self._objectives):
            return None
        expected = forecast.final(level, report.metrics)
        if self._keeps_promise(report.trial, expected):
            return True
        ends = rung(self._objectives)
        for number, metrics in enumerate([expected, *others]):
            ends.add(number, metrics)
        among_best = ends.better(0) <= (len(others) - 1) * share
        better = {name: -sign * _HOPE for name, sign in zip(self._objectives.outcome_names, self._signs, strict=True)}
        return among_best and self._undominated(forecast.final(level, report.metrics, better), others)

    def _keeps_promise(self, trial: int, expected: Metrics) -> bool:
        promised = self._promised[trial]
        if not promised.keys() >= {*self._objectives.outcome_names}:
            return False
        return bool((self._objectives.outcomes(expected) <= self._objectives.outcomes(promised)).all())

    def _undominated(self, hoped: Metrics, others: Sequence[Metrics]) -> bool:
        """Whether an end would be better than all that is expected of the others, or join their front.

        What breaks a limit is no part of it, nor what is beyond a reference that is given: it adds no hypervolume.
        """
        Y_no = np.array([self._objectives.outcomes(metrics) for metrics in (hoped, *others)])
        beyond_no = Y_no > self._objectives.limits()
        beyond_no[:, : len(self._objectives)] |= Y_no[:, : len(self._objectives)] > self._objectives.reference_point()
        kept_n = np.asarray(~beyond_no.any(axis=1))
        if not kept_n.any():
            return True
        return bool(kept_n[0] and non_dominated(Y_no[kept_n, : len(self._objectives)])[0])
