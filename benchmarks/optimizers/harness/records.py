"""What is kept of a run: one short JSON line. Progress is stored as its changes, numbers with six digits.

    {"task": "camel", "seed": 0, "best": [[1, 4.2], [7, -0.98]], "cpu_s": [.01, ...], "infeasible": 0, ...}

`best` is [trials so far, value]: the noise-free value of the incumbent (one objective; absent before the first feasible
trial) or the hypervolume (several). `cpu_s` is the mean CPU seconds of asking and telling, per block of ten trials.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.optimizers.harness.play import Run
from benchmarks.optimizers.tasks import Task
from paretune.pareto import hypervolume_history

_BLOCK = 10
_LOCK = threading.Lock()


def record(run: Run, task: Task, *, seed: int, version: str) -> dict[str, Any]:
    """The line of a run."""
    progress = _hypervolumes(run, task) if task.objectives > 1 else _incumbents(run)
    blocks = [run.cpu_s[i : i + _BLOCK] for i in range(0, len(run.cpu_s), _BLOCK)]
    return {
        "task": task.name,
        "seed": seed,
        "version": version,
        "trials": len(run.trials),
        "best": _changes(progress),
        "cpu_s": [_short(float(np.mean(block)), 3) for block in blocks],
        "infeasible": sum(not trial.feasible for trial in run.trials),
    }


def trials(run: Run) -> list[dict[str, Any]]:
    """Every trial of a run, for a closer look: configuration, noise-free values, what was told."""
    return [
        {"n": t.number, "config": t.config, "values": t.outcome.values, "told": t.observed, "feasible": t.feasible}
        for t in run.trials
    ]


def _incumbents(run: Run) -> list[float | None]:
    """After each trial the noise-free value of the best by what was observed, or of the recommended one."""
    true = {trial.number: trial.outcome.values[0] for trial in run.trials if trial.outcome.values}
    progress: list[float | None] = []
    best_observed, incumbent = float("inf"), None
    recommended = False
    for count, trial in enumerate(run.trials, start=1):
        better = trial.feasible and trial.observed is not None and trial.observed[0] < best_observed
        if better and trial.observed is not None:
            best_observed = trial.observed[0]
        if count in run.chosen:
            incumbent, recommended = true[run.chosen[count]], True
        elif better and not recommended:  # once there are recommendations, the last one stands until the next
            incumbent = true[trial.number]
        progress.append(incumbent)
    return progress


def _hypervolumes(run: Run, task: Task) -> list[float | None]:
    """After each trial the hypervolume of the feasible ones."""
    reference = np.array(task.reference)
    outside = reference + 1.0  # dominates nothing
    rows = [trial.outcome.values if trial.feasible else outside for trial in run.trials]
    return [float(volume) for volume in hypervolume_history(np.array(rows, dtype=np.float64), reference)]


def _changes(progress: list[float | None]) -> list[list[float]]:
    """[count, value] wherever the value is not the one before."""
    kept: list[list[float]] = []
    for count, value in enumerate(progress, start=1):
        if value is not None and (not kept or _short(value) != kept[-1][1]):
            kept.append([count, _short(value)])
    return kept


def _short(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def file(folder: Path, mode: str, label: str) -> Path:
    """Where a peer's lines are: one file per mode (`sequential`, `pending8`, ...)."""
    return folder / mode / f"{label}.jsonl"


def append(path: Path, line: dict[str, Any]) -> None:
    """Add a line; several threads may."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, separators=(",", ":")) + "\n"
    with _LOCK, path.open("a", encoding="utf-8") as lines:
        lines.write(text)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, or nothing if there is none; a last line cut short by a kill is passed over."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if text.endswith("\n"):
            yield json.loads(text)


def done(path: Path) -> set[tuple[str, int]]:
    """The (task, seed) pairs that a file has."""
    return {(line["task"], line["seed"]) for line in read(path)}
