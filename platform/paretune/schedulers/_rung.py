"""A rung: the results of the trials that came as far, and who is among the best of them.

One objective has a total order, which is kept sorted: an addition costs the same however many there are. Several are
sorted anew by non-domination and then by crowding (NSGA-II's order, as in Schmucker et al., 2021, arXiv:2106.12639),
over the latest results, for the same reason. What misses a limit comes after what keeps all; what has no finite
result comes last. Legend: m objectives, o outcomes (objectives, then limited metrics), minimised.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import deque
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from paretune.objective import Objectives
from paretune.pareto import best_first
from paretune.records import Metrics

Array = npt.NDArray[np.float64]
Key: TypeAlias = tuple[float, float, int]

_LATEST = 1000
"""Of several objectives: sorting as many takes 0.2 ms, and the share of the best of them is known to 1.5 percent."""


class Rung(Protocol):
    """Results by trial. A trial that was promoted, or has ended, leaves: its result stays."""

    def __len__(self) -> int:
        """How many results there are to compare with."""

    def add(self, trial: int, metrics: Metrics) -> None:
        """The trial's result; one that is not `usable` is worse than all that are."""

    def better(self, trial: int) -> int:
        """How many results are better than the trial's; equal ones are not."""

    def place(self, trial: int) -> int:
        """How many results come before the trial's: better ones, and equal ones that were there first."""

    def leave(self, trial: int) -> None:
        """The trial waits here no longer."""

    def waiting(self, best: int) -> int | None:
        """The best trial that waits and is among the `best` best, the earlier of equals; None where there is none."""


def usable(metrics: Metrics, objectives: Objectives) -> bool:
    """Whether metrics have a finite value of each objective and of each metric under a limit."""
    return not objectives.missing(metrics) and bool(np.isfinite(objectives.outcomes(metrics)).all())


def rung(objectives: Objectives) -> Rung:
    """An empty rung for these objectives."""
    return _Ordered(objectives) if len(objectives) == 1 else _Fronts(objectives)


class _Ordered:
    """One objective: keys of violation, value and order of arrival, sorted."""

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._keys: list[Key] = []
        self._key: dict[int, Key] = {}
        self._heap: list[tuple[Key, int]] = []
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, trial: int, metrics: Metrics) -> None:
        y_o, violation = _outcomes(metrics, self._objectives)
        key = (violation, float(y_o[0]), len(self._keys))
        insort(self._keys, key)
        heapq.heappush(self._heap, (key, trial))
        self._key[trial] = key

    def better(self, trial: int) -> int:
        violation, y, _ = self._key[trial]
        return bisect_left(self._keys, (violation, y, -1))

    def place(self, trial: int) -> int:
        return bisect_left(self._keys, self._key[trial])

    def leave(self, trial: int) -> None:
        self._gone.add(trial)

    def waiting(self, best: int) -> int | None:
        while self._heap and self._heap[0][1] in self._gone:
            heapq.heappop(self._heap)
        if not self._heap:
            return None
        key, trial = self._heap[0]
        return trial if bisect_left(self._keys, key) < best else None


class _Fronts:
    """Several objectives: the latest results, sorted when somebody asks."""

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._results: deque[tuple[int, Array, float]] = deque(maxlen=_LATEST)
        self._order: list[int] | None = None
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return len(self._results)

    def add(self, trial: int, metrics: Metrics) -> None:
        y_o, violation = _outcomes(metrics, self._objectives)
        self._results.append((trial, y_o[: len(self._objectives)], violation))
        self._order = None

    def better(self, trial: int) -> int:
        mine = next((y_m, violation) for number, y_m, violation in reversed(self._results) if number == trial)
        order = (self._results[index] for index in self._sorted())
        same = (place for place, (_, y_m, v) in enumerate(order) if v == mine[1] and np.array_equal(y_m, mine[0]))
        return next(same)

    def place(self, trial: int) -> int:
        return next(place for place, index in enumerate(self._sorted()) if self._results[index][0] == trial)

    def leave(self, trial: int) -> None:
        self._gone.add(trial)

    def waiting(self, best: int) -> int | None:
        trials = (self._results[index][0] for index in self._sorted()[:best])
        return next((trial for trial in trials if trial not in self._gone), None)

    def _sorted(self) -> list[int]:
        if self._order is None:
            Y_nm = np.array([y_m for _, y_m, _ in self._results])
            violation_n = np.array([violation for _, _, violation in self._results])
            self._order = best_first(Y_nm, violation_n).tolist()
        return self._order


def _outcomes(metrics: Metrics, objectives: Objectives) -> tuple[Array, float]:
    """The minimised outcomes (o,), and by how much limits are missed, each in units of its own size."""
    if not usable(metrics, objectives):
        return np.zeros(len(objectives.outcome_names)), math.inf
    y_o = objectives.outcomes(metrics)
    limits_o = objectives.limits()
    bounded_o = np.isfinite(limits_o)
    size_o = np.where(bounded_o & (limits_o != 0), np.abs(limits_o), 1.0)
    miss_o = np.where(bounded_o, np.maximum(y_o - limits_o, 0.0), 0.0)
    return y_o, float((miss_o / size_o).sum())
