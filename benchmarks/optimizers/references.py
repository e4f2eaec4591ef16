"""What each task is measured against: the best value known and what random search reaches.

`python -m benchmarks.optimizers references` computes references.json: for every task the median over 100 seeds of
random search's result (its last), and where no closed form gives the optimum, the best of a long search.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.optimizers.harness import records
from benchmarks.optimizers.harness.play import play
from benchmarks.optimizers.spaces import Config, Space
from benchmarks.optimizers.tasks import Task
from paretune.pareto import hypervolume, non_dominated

FILE = Path(__file__).parent / "references.json"

SEEDS = 100
_FIRST_SEED = 10_000  # apart from the seeds that peers are run with

# The long search: so many points anywhere, then so many steps from the best of them; a table's task takes a quarter of
# a minute of CPU. The analysis takes a run's result instead where one is better.
_SAMPLES = 3_000
_STEPS = 6_000
_KEPT = 20
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Reference:
    """`best` is the least value known, or the greatest hypervolume; `random` random search's median result."""

    best: float
    random: float


def of(task: Task) -> Reference:
    """A task's reference; raises ValueError where none was computed."""
    if task.name not in load():
        command = f"python -m benchmarks.optimizers references --tasks {task.name}"
        raise ValueError(f"references.json: has no {task.name}\nhint: {command}")
    return load()[task.name]


@cache
def load() -> Mapping[str, Reference]:
    """The references by their tasks' names."""
    return {name: Reference(**entry) for name, entry in json.loads(FILE.read_text(encoding="utf-8")).items()}


def compute(task: Task) -> Reference:
    """A task's reference; minutes for all tasks."""
    return Reference(best=_best(task), random=float(f"{_random_median(task):.6g}"))


class _RandomSearch:
    """Random search as a conversation, without a process of its own."""

    def __init__(self, task: Task, *, seed: int) -> None:
        self._task, self._rng, self._asked = task, random.Random(seed), 0

    def call(self, request: str, **fields: Any) -> dict[str, Any]:
        if request != "ask":
            return {"id": None, "cpu_s": 0.0}
        self._asked += 1
        return {"id": self._asked - 1, "config": legal(self._task, self._rng), "cpu_s": 0.0}


def legal(task: Task, rng: random.Random) -> Config:
    """A random configuration that keeps the input constraints."""
    while True:
        config = task.space.sample(rng)
        if all(limit.kept(config) for limit in task.inputs):
            return config


def _random_median(task: Task) -> float:
    results = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS):
        made = play(_RandomSearch(task, seed=seed), task, seed=seed)
        progress = records.record(made, task, seed=seed, version="")["best"]
        worst = 0.0 if task.objectives > 1 else float("inf")
        results.append(progress[-1][1] if progress else worst)
    return statistics.median(results)


def _best(task: Task) -> float:
    if task.objectives > 1:
        return _front_volume(task) if task.best_volume is None else task.best_volume
    return _minimum(task) if task.best is None else task.best


def _value(task: Task, config: Config) -> tuple[float, ...] | None:
    outcome = task.evaluate(config)
    return outcome.values if task.feasible(outcome) else None


def _minimum(task: Task) -> float:
    """Random points, then steps of falling size from the best ones."""
    rng = random.Random(task.name)
    found = [(value[0], config) for config in _samples(task, rng) if (value := _value(task, config)) is not None]
    leaders = sorted(found, key=lambda pair: pair[0])[:_KEPT]
    for step in range(_STEPS):
        place = step % len(leaders)
        config = moved(task.space, leaders[place][1], rng, size=0.2 * 0.02 ** (step / _STEPS))
        value = _value(task, config)
        if value is not None and value[0] < leaders[place][0]:
            leaders[place] = (value[0], config)
    return min(value for value, _ in leaders)


def _front_volume(task: Task) -> float:
    """The same for the front: steps from points on it, what is dominated dropped as it grows."""
    rng = random.Random(task.name)
    configs = _samples(task, rng)
    front = _front([(value, config) for config in configs if (value := _value(task, config)) is not None])
    for step in range(0, _STEPS, _BATCH):
        size = 0.2 * 0.02 ** (step / _STEPS)
        made = [moved(task.space, front[rng.randrange(len(front))][1], rng, size=size) for _ in range(_BATCH)]
        front = _front([*front, *((value, config) for config in made if (value := _value(task, config)) is not None)])
    return hypervolume(np.array([value for value, _ in front]), np.array(task.reference))


def _samples(task: Task, rng: random.Random) -> list[Config]:
    return [legal(task, rng) for _ in range(_SAMPLES)]


def _front(found: Sequence[tuple[tuple[float, ...], Config]]) -> list[tuple[tuple[float, ...], Config]]:
    kept = non_dominated(np.array([value for value, _ in found]))
    unique = {value: config for (value, config), keep in zip(found, kept.tolist(), strict=True) if keep}
    return list(unique.items())


def moved(space: Space, config: Config, rng: random.Random, *, size: float) -> Config:
    """A neighbour: a few coordinates moved by about `size`, now and then one anywhere."""
    share = max(0.3, 1 / len(space))
    units = []
    for parameter in space:
        if parameter.name not in config or rng.random() < 0.05:
            units.append(rng.random())
            continue
        unit = parameter.to_unit(config[parameter.name])
        chosen = rng.random() < share
        if parameter.kind == "choice":
            units.append(rng.random() if chosen and rng.random() < 0.3 else unit)
        else:
            units.append(unit + rng.gauss(0, size) if chosen else unit)
    return space.decode(units)


def write(tasks: Sequence[Task]) -> None:
    """Compute the references of these tasks and put them into the file beside those of others."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for task in tasks:
        reference = compute(task)
        known[task.name] = {"best": reference.best, "random": reference.random}
        print(f"{task.name}: best {reference.best:.6g}, random search {reference.random:.6g}", flush=True)
        FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")
