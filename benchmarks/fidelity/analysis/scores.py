"""Normalised regrets of a folder of results, at shares of the time.

    regret = (incumbent - best known) / (random search's median at the end - best known)

A run's regret is clipped at 2, so that one heavy tail does not decide a mean. For several objectives the same is made
of hypervolumes. The best known is the best of the long search and of all runs. Legend: k shares of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.fidelity import references, tasks
from benchmarks.fidelity.tasks import CurveTask
from benchmarks.optimizers.analysis import bootstrap
from benchmarks.optimizers.analysis.scores import CLIP, Line, Results, load

Array = npt.NDArray[np.float64]
Way = Literal["at the full resource", "where seen"]

WAYS: tuple[Way, ...] = ("at the full resource", "where seen")
SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Board:
    """Everybody's regrets on some tasks: arm -> task -> seed -> (k,)."""

    tasks: Sequence[CurveTask]
    shares: Sequence[float]
    regrets: Mapping[str, Mapping[str, Mapping[int, Array]]]

    def complete(self) -> list[str]:
        """The arms that have run every task, the least last regret first."""
        have = [arm for arm, by_task in self.regrets.items() if len(by_task) == len(self.tasks)]
        return sorted(have, key=lambda arm: float(bootstrap.mean(self.of(arm))[-1]))

    def of(self, arm: str) -> list[Array]:
        """An arm's regrets task by task; shapes (seeds, k)."""
        return [np.array(list(by_seed.values())) for by_seed in self.regrets[arm].values()]

    def ranks(self, share: int) -> dict[str, float]:
        """The mean ranks of those who are complete at the share of that index."""
        return bootstrap.ranks(
            {
                arm: {
                    task: {seed: float(regret_k[share]) for seed, regret_k in by_seed.items()}
                    for task, by_seed in self.regrets[arm].items()
                }
                for arm in self.complete()
            }
        )


def board(folder: Path, workers: int, objectives: int, way: Way, shares: Sequence[float] = SHARES) -> Board:
    """The board of the tasks with so many objectives."""
    every = {each: load(folder, f"workers{each}") for each in references.WORKERS}
    chosen = [task for task in tasks.tasks().values() if task.objectives == objectives]
    found: dict[str, dict[str, dict[int, Array]]] = {}
    for task in chosen:
        best, random = _against(task, every, workers, WAYS.index(way))
        for arm, by_task in every[workers].lines.items():
            for seed, line in sorted(by_task.get(task.name, {}).items()):
                values_k = np.array([_at(line, share, WAYS.index(way)) for share in shares])
                regret_k = np.clip((values_k - best) / (random - best), 0.0, CLIP)
                found.setdefault(arm, {}).setdefault(task.name, {})[seed] = np.nan_to_num(regret_k, nan=CLIP)
    return Board(chosen, shares, found)


def _against(task: CurveTask, every: Mapping[int, Results], workers: int, way: int) -> tuple[float, float]:
    """The best known, which any run may improve, and random search's result."""
    known = references.load()[task.name]
    values = [value for results in every.values() for line in results.of_task(task.name) for value in _all(line, way)]
    best = (min if task.objectives == 1 else max)([known.best[way], *values])
    return best, known.random[workers][way]


def _all(line: Line, way: int) -> Iterator[float]:
    """Every value that a run had."""
    return (float(entry[1 + way]) for entry in line["best"] if entry[1 + way] is not None)


def _at(line: Line, share: float, way: int) -> float:
    """The value at a share of the time; NaN before the first one, and for what diverges in the end."""
    value: float | None = None
    for since, *judged in line["best"]:
        if since > share:
            break
        value = judged[way]
    return float("nan") if value is None else value
