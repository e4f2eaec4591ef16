"""Regret on one scale for all tasks: 0 is the best known, 1 what random search reaches in the median with all trials.

A run's regret is clipped at 2, so that one heavy tail does not decide a mean. For several objectives the same is made
of hypervolumes. The best known is the optimum where it is known, else the best of the long search and of all runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.optimizers import references, tasks
from benchmarks.optimizers.harness import records
from benchmarks.optimizers.references import Reference
from benchmarks.optimizers.tasks import Task

Array = npt.NDArray[np.float64]
Line = Mapping[str, Any]

CLIP = 2.0
SHARES = (1 / 3, 1 / 2, 2 / 3, 1.0)  # of the trials: 20, 30, 40 and 60 of 60


@dataclass(frozen=True, slots=True)
class Results:
    """The lines of one mode: peer -> task -> seed -> line."""

    lines: Mapping[str, Mapping[str, Mapping[int, Line]]]

    @property
    def peers(self) -> list[str]:
        return sorted(self.lines)

    def of_task(self, name: str) -> Iterable[Line]:
        """Every line of a task, of all peers."""
        for by_task in self.lines.values():
            yield from by_task.get(name, {}).values()


def load(folder: Path, mode: str) -> Results:
    """The results of a mode; a (task, seed) that stands twice counts once, the later one."""
    found: dict[str, dict[str, dict[int, Line]]] = {}
    for path in sorted((folder / mode).glob("*.jsonl")):
        if path.name.endswith(".trials.jsonl"):
            continue
        for line in records.read(path):
            found.setdefault(path.stem, {}).setdefault(line["task"], {})[line["seed"]] = line
    return Results(found)


def reference(task: Task, results: Sequence[Results]) -> Reference:
    """The task's reference, its best improved by any run where no closed form gives it."""
    known = references.of(task)
    lines = [line for each in results for line in each.of_task(task.name) if line["best"]]
    finals = [float(line["best"][-1][1]) for line in lines]
    if task.objectives > 1:
        best = max([known.best, *finals]) if task.best_volume is None else task.best_volume
    elif task.best is not None:
        best = task.best
    else:
        best = min([known.best, *(float(value) for line in lines for _, value in line["best"])])
    return Reference(best=best, random=known.random)


def at(line: Line, trials: int) -> float | None:
    """The progress after so many trials; None before the first feasible one."""
    value = None
    for count, changed in line["best"]:
        if count > trials:
            break
        value = float(changed)
    return value


def regret(line: Line, trials: int, against: Reference) -> float:
    """The normalised regret after so many trials, within [0, CLIP]."""
    value = at(line, trials)
    if value is None:
        return CLIP
    return min(max((value - against.best) / (against.random - against.best), 0.0), CLIP)


def log_volume_difference(line: Line, trials: int, against: Reference) -> float:
    """log10 of the hypervolume that is missing, at least a millionth of it all."""
    missing = max(against.best - (at(line, trials) or 0.0), 1e-6 * against.best)
    return math.log10(missing)


def regrets(
    results: Results, task: Task, against: Reference, shares: Sequence[float] = SHARES
) -> dict[str, dict[int, Array]]:
    """Peer -> seed -> regrets of shape (shares,), for the peers that have run the task."""
    counts = [round(share * task.trials) for share in shares]
    return {
        peer: {
            seed: np.array([regret(line, count, against) for count in counts]) for seed, line in sorted(by_task.items())
        }
        for peer in results.peers
        if (by_task := results.lines[peer].get(task.name))
    }


def group_tasks(group: str) -> list[Task]:
    """The tasks of a group, or of `core`."""
    return [tasks.find(name) for name in tasks.CORE] if group == "core" else list(tasks.group(group).values())
