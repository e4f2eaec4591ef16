"""A study as Prometheus metrics, exported by Ray on every node's metrics port with `ray_` in front of their names.

    paretune_trials              gauge       study, state       trials in each state, none left out
    paretune_best                gauge       study, objective   the best value so far, in the metric's own units
    paretune_hypervolume         gauge       study              see `pareto.hypervolume`
    paretune_suggestion_seconds  histogram   study              what computing one suggestion took
    paretune_worker_seconds      counter     study              worker time spent; its rate: the busy workers

A resumed study sets out from its whole log, so that the values are the study's and not one driver's.
"""

from __future__ import annotations

from collections import Counter as Tally
from typing import get_args

import numpy as np
from ray.util.metrics import Counter, Gauge, Histogram

from paretune.log import Log, Trial
from paretune.pareto import fill_reference, hypervolume
from paretune.records import Entry, Event, Report, Status
from paretune.study import StudySpec

EXPORTED = (
    "ray_paretune_trials",
    "ray_paretune_best",
    "ray_paretune_hypervolume",
    "ray_paretune_suggestion_seconds_bucket",
    "ray_paretune_suggestion_seconds_count",
    "ray_paretune_suggestion_seconds_sum",
    "ray_paretune_worker_seconds_total",
)
"""The series as Prometheus sees them: what a dashboard may ask for."""

# A random suggestion takes well under a millisecond, a large model's fit minutes.
_SUGGESTION_BOUNDS_S = [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


class StudyMetrics:
    """A `Listener` that keeps the metrics up to date; to be made in the driver after `ray.init`."""

    def __init__(self) -> None:
        self._trials = Gauge("paretune_trials", "Trials of the study by state.", ("study", "state"))
        self._best = Gauge("paretune_best", "Best value so far of the objective.", ("study", "objective"))
        self._hypervolume = Gauge("paretune_hypervolume", "Hypervolume of the study's Pareto front.", ("study",))
        self._suggestion = Histogram(
            "paretune_suggestion_seconds", "Seconds to compute one suggestion.", _SUGGESTION_BOUNDS_S, ("study",)
        )
        self._worker = Counter("paretune_worker_seconds", "Worker-seconds spent on trials.", ("study",))

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._spec, self._log, self._tags = spec, log, {"study": spec.name}
        for entry in log.entries:
            self._count(entry)
        self._set_trials()
        self._set_outcome()

    def on_entry(self, entry: Entry) -> None:
        self._count(entry)
        if isinstance(entry, Event) and entry.trial is not None:
            self._set_trials()
            if self._log.trials[entry.trial].ended:
                self._set_outcome()

    def on_end(self) -> None:
        """Nothing: the values stand until the driver leaves."""

    def _count(self, entry: Entry) -> None:
        if isinstance(entry, Report):
            if entry.worker_seconds > 0:
                self._worker.inc(entry.worker_seconds, self._tags)
        elif entry.suggestion is not None:
            self._suggestion.observe(entry.suggestion.seconds, self._tags)

    def _set_trials(self) -> None:
        tally = Tally(trial.status for trial in self._log.trials.values())
        for state in get_args(Status):
            self._trials.set(tally[state], {**self._tags, "state": state})

    def _set_outcome(self) -> None:
        objectives = self._spec.objectives
        done = [trial for trial in self._log.trials.values() if self._counts(trial)]
        if not done:
            return
        Y_nm = np.array([objectives.minimized(trial.metrics) for trial in done])
        for name, value in objectives.natural(Y_nm.min(axis=0)).items():
            self._best.set(value, {**self._tags, "objective": name})
        reference_m = fill_reference(Y_nm, objectives.reference_point())
        self._hypervolume.set(hypervolume(Y_nm, reference_m), self._tags)

    def _counts(self, trial: Trial) -> bool:
        """Whether the trial may stand on the Pareto front: completed, and within every limit."""
        objectives = self._spec.objectives
        return (
            trial.status == "completed" and not objectives.missing(trial.metrics) and objectives.feasible(trial.metrics)
        )
