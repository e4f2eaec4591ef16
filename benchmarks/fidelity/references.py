"""What each task is measured against: the best value known and what random search reaches with whole trainings.

`python -m benchmarks.fidelity references` computes references.json: for 8 and for 64 workers the median over seeds of
random search's last result, and for both ways of judging the best of a long search.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fidelity import cluster, judge
from benchmarks.fidelity.judge import Judged
from benchmarks.fidelity.run import Run
from benchmarks.fidelity.tasks import CurveTask
from benchmarks.optimizers.references import moved
from benchmarks.optimizers.spaces import Config
from paretune.pareto import hypervolume, non_dominated

FILE = Path(__file__).parent / "references.json"

WORKERS = (8, 64)
_SEEDS = {8: 60, 64: 20}  # the more are tried in a run, the less runs differ
_FIRST_SEED = 10_000  # apart from the seeds of runs

# The long search: so many configurations anywhere, then so many steps from the best of them.
_SAMPLES = 3_000
_STEPS = 4_000
_KEPT = 20
_BATCH = 400


@dataclass(frozen=True, slots=True)
class Reference:
    """`best` is the least value known, or the greatest hypervolume, `random` what random search reaches: each at the
    full resource, and where seen."""

    best: Judged
    random: Mapping[int, Judged]


@cache
def load() -> Mapping[str, Reference]:
    """The references by their tasks' names."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: Reference(
            best=_judged(entry["best"]),
            random={int(workers): _judged(values) for workers, values in entry["random"].items()},
        )
        for name, entry in data.items()
    }


def _judged(values: Sequence[float]) -> Judged:
    at_end, where_seen = values
    return at_end, where_seen


def write(tasks: Sequence[CurveTask]) -> None:
    """Compute the references of these tasks and put them into the file beside those of others."""
    data = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for task in tasks:
        medians = {workers: _random_median(task, workers) for workers in WORKERS}
        data[task.name] = {"best": _best(task), "random": medians}
        print(f"{task.name}: {data[task.name]}", flush=True)
        FILE.write_text(json.dumps(dict(sorted(data.items())), indent=1) + "\n", encoding="utf-8")


class _RandomSearch:
    """Whole trainings at random, as a conversation without a process of its own."""

    def __init__(self, run: Run) -> None:
        self._task, self._rng = run.task, random.Random(run.seed)

    def call(self, request: str, **fields: Any) -> dict[str, Any]:
        if request == "ask":
            return {"id": 0, "config": self._task.space.sample(self._rng), "until": self._task.epochs}
        return {"go_on": True}


def _random_median(task: CurveTask, workers: int) -> list[float]:
    lasts = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _SEEDS[workers]):
        run = Run(task, seed, workers)
        line = judge.line(run, list(cluster.search(_RandomSearch(run), run)), version="", wall_s=0.0)
        worst = np.inf if task.objectives == 1 else 0.0
        lasts.append([worst if value is None else value for value in line["best"][-1][1:]])
    return [float(f"{statistics.median(column):.6g}") for column in zip(*lasts, strict=True)]


def _best(task: CurveTask) -> list[float]:
    search = _least if task.objectives == 1 else _largest
    ways: tuple[Callable[[Any], Any], ...] = (lambda true_em: true_em[-1:], lambda true_em: true_em)
    return [float(f"{search(task, way):.6g}") for way in ways]


def _least(task: CurveTask, way: Callable[[Any], Any]) -> float:
    """Random configurations, then steps of falling size from the best ones."""
    rng = random.Random(task.name)

    def value(config: Config) -> float:
        values = way(task.true(config))
        return float(np.nanmin(values)) if np.isfinite(values).any() else float("inf")

    found = [(value(config), config) for config in (task.space.sample(rng) for _ in range(_SAMPLES))]
    leaders = sorted(found, key=lambda pair: pair[0])[:_KEPT]
    for step in range(_STEPS):
        place = step % len(leaders)
        config = moved(task.space, leaders[place][1], rng, size=0.2 * 0.02 ** (step / _STEPS))
        leaders[place] = min(leaders[place], (value(config), config), key=lambda pair: pair[0])
    return min(value for value, _ in leaders)


def _largest(task: CurveTask, way: Callable[[Any], Any]) -> float:
    """The same for the front: steps from points on it, what is dominated dropped as it grows."""
    rng = random.Random(task.name)
    front = _front(task, [task.space.sample(rng) for _ in range(_SAMPLES)], way)
    for step in range(0, _STEPS, _BATCH):
        size = 0.2 * 0.02 ** (step / _STEPS)
        configs = [config for _, config in front]
        made = [moved(task.space, rng.choice(configs), rng, size=size) for _ in range(_BATCH)]
        front = _front(task, [*configs, *made], way)
    return hypervolume(np.array([values for values, _ in front]), np.array(task.reference))


def _front(
    task: CurveTask, configs: Sequence[Config], way: Callable[[Any], Any]
) -> list[tuple[tuple[float, ...], Config]]:
    """What is not dominated, each value with one configuration that has it."""
    rows = {
        tuple(row): config for config in configs for row in way(task.true(config)).tolist() if np.isfinite(row).all()
    }
    kept = non_dominated(np.array(list(rows)))
    return [entry for entry, keep in zip(rows.items(), kept.tolist(), strict=True) if keep]
