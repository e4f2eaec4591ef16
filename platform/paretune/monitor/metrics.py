"""A study as Prometheus metrics, exported by Ray on every node's metrics port with `ray_` in front of their names.

    paretune_trials              gauge       study, state       trials in each state, none left out
    paretune_best                gauge       study, objective   the best value so far, in the metric's own units
    paretune_hypervolume         gauge       study              see `pareto.hypervolume`
    paretune_suggestion_seconds  histogram   study              what computing one suggestion took
    paretune_worker_seconds      counter     study              worker time spent; its rate: the busy workers

A resumed study sets out from its whole log, so that the values are the study's and not one driver's. Of a histogram
Ray passes on the buckets alone: its counts are exact, its sum is made up from the buckets' middles.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from typing import get_args

import numpy as np
from ray.util.metrics import Counter, Gauge, Histogram

from paretune import winners
from paretune.log import Log, Trial
from paretune.pareto import fill_reference, hypervolume
from paretune.records import Entry, Report, Status
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
    """A `Listener` that keeps the metrics up to date; to be made in the driver after `ray.init`.

    An entry only moves the counters; a thread reads the gauges off the log every `refresh_s` seconds. It sets them even
    when nothing has changed: Ray drops a gauge that was not set during its last two report intervals (10 s each unless
    configured), as if its process had died.
    """

    def __init__(self, *, refresh_s: float = 5.0) -> None:
        self._trials = Gauge("paretune_trials", "Trials of the study by state.", ("study", "state"))
        self._best = Gauge("paretune_best", "Best value so far of the objective.", ("study", "objective"))
        self._hypervolume = Gauge("paretune_hypervolume", "Hypervolume of the study's Pareto front.", ("study",))
        self._suggestion = Histogram(
            "paretune_suggestion_seconds", "Seconds to compute one suggestion.", _SUGGESTION_BOUNDS_S, ("study",)
        )
        self._worker = Counter("paretune_worker_seconds", "Worker-seconds spent on trials.", ("study",))

        self._refresh_s = refresh_s
        self._over = threading.Event()

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._spec, self._log, self._tags = spec, log, {"study": spec.name}
        for entry in log.entries:
            self._count(entry)
        self._thread = threading.Thread(target=self._refresh, name="paretune-metrics", daemon=True)
        self._thread.start()

    def on_entry(self, entry: Entry) -> None:
        self._count(entry)

    def on_end(self) -> None:
        """Set the gauges a last time and let them go; Prometheus keeps what it saw."""
        self._over.set()
        self._thread.join()

    def _refresh(self) -> None:
        self._read_off()
        while not self._over.wait(self._refresh_s):
            self._read_off()
        self._read_off()

    def _read_off(self) -> None:
        trials = list(self._log.trials.values())
        self._set_trials(trials)
        self._set_outcome(trials)

    def _set(self, gauge: Gauge, value: float, **tags: str) -> None:
        gauge.set(value, tags | self._tags)

    def _count(self, entry: Entry) -> None:
        if isinstance(entry, Report):
            if entry.worker_seconds > 0:
                self._worker.inc(entry.worker_seconds, self._tags)
        elif entry.suggestion is not None:
            self._suggestion.observe(entry.suggestion.seconds, self._tags)

    def _set_trials(self, trials: list[Trial]) -> None:
        tally = Tally(trial.status for trial in trials)
        for state in get_args(Status):
            self._set(self._trials, tally[state], state=state)

    def _set_outcome(self, trials: list[Trial]) -> None:
        objectives = self._spec.objectives
        done = winners.contenders(trials, objectives)
        if not done:
            return
        Y_nm = np.array([objectives.minimized(trial.metrics) for trial in done])
        for name, value in objectives.natural(Y_nm.min(axis=0)).items():
            self._set(self._best, value, objective=name)
        reference_m = fill_reference(Y_nm, objectives.reference_point())
        self._set(self._hypervolume, hypervolume(Y_nm, reference_m))
