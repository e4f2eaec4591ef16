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
from paretune.log import Log
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
    """A `Listener` that keeps the metrics up to date; to be made in the driver after `ray.init`.

    Ray drops a gauge that was not set during its last two report intervals (10 s each unless configured), as if its
    process had died. Trials take longer than that, so a thread sets all gauges again every `refresh_s` seconds.
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
        self._lock = threading.Lock()
        self._levels: dict[tuple[Gauge, frozenset[tuple[str, str]]], float] = {}

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._spec, self._log, self._tags = spec, log, {"study": spec.name}
        for entry in log.entries:
            self._count(entry)
        self._set_trials()
        self._set_outcome()
        threading.Thread(target=self._refresh, name="paretune-metrics", daemon=True).start()

    def on_entry(self, entry: Entry) -> None:
        self._count(entry)
        if isinstance(entry, Event) and entry.trial is not None:
            self._set_trials()
            if self._log.trials[entry.trial].ended:
                self._set_outcome()

    def on_end(self) -> None:
        """Let the gauges go; Prometheus keeps what it saw."""
        self._over.set()

    def _refresh(self) -> None:
        while not self._over.wait(self._refresh_s):
            with self._lock:
                for (gauge, tags), value in self._levels.items():
                    gauge.set(value, dict(tags))

    def _set(self, gauge: Gauge, value: float, **tags: str) -> None:
        tags |= self._tags
        with self._lock:
            self._levels[gauge, frozenset(tags.items())] = value
            gauge.set(value, tags)

    def _count(self, entry: Entry) -> None:
        if isinstance(entry, Report):
            if entry.worker_seconds > 0:
                self._worker.inc(entry.worker_seconds, self._tags)
        elif entry.suggestion is not None:
            self._suggestion.observe(entry.suggestion.seconds, self._tags)

    def _set_trials(self) -> None:
        tally = Tally(trial.status for trial in self._log.trials.values())
        for state in get_args(Status):
            self._set(self._trials, tally[state], state=state)

    def _set_outcome(self) -> None:
        objectives = self._spec.objectives
        done = winners.contenders(self._log.trials.values(), objectives)
        if not done:
            return
        Y_nm = np.array([objectives.minimized(trial.metrics) for trial in done])
        for name, value in objectives.natural(Y_nm.min(axis=0)).items():
            self._set(self._best, value, objective=name)
        reference_m = fill_reference(Y_nm, objectives.reference_point())
        self._set(self._hypervolume, hypervolume(Y_nm, reference_m))
