"""What a training would give, without training: a function of configuration and resource."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from paretune.errors import InputError
from paretune.log import Log, Trial
from paretune.population import Stage
from paretune.space import Choice, Config
from paretune.study import StudySpec

Array = npt.NDArray[np.float64]


class Blackbox(Protocol):
    """A training as a function. It must be deterministic for a simulation to be so."""

    def __call__(self, config: Config, resource: float, /) -> tuple[Mapping[str, float], float]:
        """The metrics reported at a resource, and the seconds it takes to get there from the beginning.

        What it raises becomes a failed trial, an objective that is not finite a diverged one. A trial that goes on from
        another one's checkpoint is asked for from there on, as if its own configuration had been used from the
        beginning; a blackbox that knows better is `Staged`.
        """


@runtime_checkable
class Staged(Protocol):
    """A training whose configuration changes on its way, as under `pbt`; a blackbox that is one is asked so."""

    def along(self, stages: Sequence[Stage], resource: float, /) -> tuple[Mapping[str, float], float]:
        """What a blackbox says of a training whose stages were these, the last of which goes on to the resource."""


class Recorded:
    """A finished study as a blackbox: what its completed trial gave whose configuration is nearest to the one asked.

    Nearest by the mean over parameters of the distance on the unit cube, 1 between unordered options and where only
    one of the two has the parameter (Gower, 1971). At a resource that was not reported it answers with the last report
    before it. Stopped trials are left out: nobody knows how they would have gone on.
    """

    def __init__(self, spec: StudySpec, log: Log) -> None:
        """Raises InputError for a study without a completed trial."""
        self._space = spec.space
        self._trials = [t for _, t in sorted(log.trials.items()) if t.status == "completed" and t.reports]
        if not self._trials:
            raise InputError(
                f"study {spec.name}: needs a completed trial to be simulated from, there is none",
                hint="run it to the end, or give a function of configuration and resource",
            )
        self._curves = [_Curve(trial, spec.train.workers) for trial in self._trials]
        self._is_choice_d = np.array([isinstance(parameter, Choice) for parameter in spec.space.values()])
        self._X_nd = np.array([self._encoded(trial.config) for trial in self._trials])

    def __call__(self, config: Config, resource: float, /) -> tuple[Mapping[str, float], float]:
        return self._curves[int(np.argmin(self._distances(self._encoded(config))))].at(resource)

    def _encoded(self, config: Config) -> Array:
        """Coordinates, NaN where a parameter is absent; shape (d,)."""
        present_d = np.array([name in config for name in self._space])
        return np.where(present_d, self._space.encode(config), np.nan)

    def _distances(self, x_d: Array) -> Array:
        apart_nd = np.abs(self._X_nd - x_d)
        apart_nd = np.where(self._is_choice_d & (apart_nd > 0), 1.0, apart_nd)
        both_absent_nd = np.isnan(self._X_nd) & np.isnan(x_d)
        return np.asarray(np.where(both_absent_nd, 0.0, np.where(np.isnan(apart_nd), 1.0, apart_nd)).mean(axis=1))


class _Curve:
    """One trial's reports; of a resource that was reported again after a restart, the last report."""

    def __init__(self, trial: Trial, workers: int) -> None:
        reports = {report.resource: report for report in trial.reports}
        self._resources = sorted(reports)
        self._metrics = [reports[resource].metrics for resource in self._resources]
        spent = np.cumsum([reports[resource].worker_seconds for resource in self._resources])
        self._seconds: list[float] = (spent / workers).tolist()

    def at(self, resource: float) -> tuple[Mapping[str, float], float]:
        place = max(0, bisect_right(self._resources, resource) - 1)
        return self._metrics[place], self._seconds[place]
