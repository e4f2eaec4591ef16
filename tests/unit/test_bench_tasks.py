"""The optimizer benchmark's tasks: what they claim about themselves holds."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from benchmarks.optimizers import references, tasks
from benchmarks.optimizers.references import legal, moved
from benchmarks.optimizers.spaces import Space
from benchmarks.optimizers.tasks import Task
from paretune.pareto import hypervolume

ALL = [task for group in tasks.GROUPS for task in tasks.group(group).values()]
every_task = pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
with_optimum = pytest.mark.parametrize("task", [t for t in ALL if t.optimum], ids=lambda task: task.name)


def sampled(task: Task, count: int) -> list[dict[str, object]]:
    rng = random.Random(7)
    return [legal(task, rng) for _ in range(count)]


@with_optimum
def test_the_stated_optimum_has_the_stated_value(task: Task) -> None:
    assert task.optimum is not None
    outcome = task.evaluate(task.optimum)
    assert task.feasible(outcome)
    assert outcome.values == pytest.approx((task.best,), abs=1e-6, rel=1e-6)


@with_optimum
def test_nothing_near_or_far_beats_the_stated_optimum(task: Task) -> None:
    assert task.optimum is not None
    assert task.best is not None
    rng = random.Random(3)
    near = [moved(task.space, task.optimum, rng, size=10**-power) for power in (1, 2, 4) for _ in range(60)]
    outcomes = [task.evaluate(config) for config in (*near, *sampled(task, 100))]
    least = min(o.values[0] for o in outcomes if o.values is not None and task.feasible(o))
    assert least >= task.best - 1e-6 * max(1.0, abs(task.best))


@with_optimum
def test_the_optimum_is_neither_in_the_middle_nor_in_a_corner(task: Task) -> None:
    """Of the coordinates that are numbers, none is within 2 % of the middle in all of them, nor of a bound."""
    assert task.optimum is not None
    floats = [p for p in task.space if p.kind == "float" and p.name in task.optimum]
    units = np.array([p.to_unit(task.optimum[p.name]) for p in floats])
    assert np.any(np.abs(units - 0.5) > 0.02)
    assert np.any((units > 0.02) & (units < 0.98))


@every_task
def test_configurations_survive_json_and_cleaning(task: Task) -> None:
    again = Space.from_data(json.loads(json.dumps(task.space.to_data())))
    assert list(again) == list(task.space)
    for config in sampled(task, 5):
        assert again.clean(json.loads(json.dumps(config))) == config


@every_task
def test_values_are_finite_vary_and_repeat(task: Task) -> None:
    configs = sampled(task, 40)
    outcomes = [task.evaluate(config) for config in configs]
    values = [outcome.values for outcome in outcomes if outcome.values is not None]
    assert len(values) >= 8
    assert np.all(np.isfinite(values))
    assert np.all(np.ptp(values, axis=0) > 0)
    assert all(len(value) == task.objectives for value in values)
    assert [task.evaluate(config).values for config in configs[:5]] == [o.values for o in outcomes[:5]]
    assert all(set(task.limits) <= set(outcome.metrics) for outcome in outcomes if outcome.values is not None)


@every_task
def test_the_reference_leaves_room_to_be_better_than_random(task: Task) -> None:
    known = references.load()[task.name]
    if task.objectives > 1:
        assert known.best > known.random > 0
    else:
        assert known.best < known.random


def test_names_are_unique_and_core_names_exist() -> None:
    assert len({task.name for task in ALL}) == len(ALL)
    assert {tasks.find(name).name for name in tasks.CORE} == set(tasks.CORE)


def test_noise_depends_on_seed_and_index_alone() -> None:
    task = tasks.find("hartmann4_noisy")
    outcome = task.evaluate(sampled(task, 1)[0])

    def told(seed: int, index: int) -> float:
        observed = task.observe(outcome, seed=seed, index=index)
        assert observed is not None
        return observed[0]

    assert told(1, 2) == told(1, 2)
    assert len({told(seed, index) for seed in range(3) for index in range(3)}) == 9
    assert outcome.values is not None
    errors = np.array([told(0, index) for index in range(2000)]) - outcome.values[0]
    assert abs(errors.mean()) < 0.06  # four standard errors of sd .65
    assert errors.std() == pytest.approx(task.noise[0], rel=0.07)


def test_inactive_parameters_change_nothing() -> None:
    task = tasks.find("decoy")
    config = {"method": "safe", "a": 0.3, "b": 0.4}
    assert task.evaluate({**config, "u": 0.01, "v": 0.5, "w": 3}) == task.evaluate(config)


def test_a_broken_input_constraint_is_a_failed_trial() -> None:
    task = tasks.find("batches")
    assert task.optimum is not None
    assert task.evaluate({**task.optimum, "accumulate": 9}).values is None


@pytest.mark.parametrize("name", ["zdt1", "zdt2", "zdt3", "dtlz2_two", "dtlz2_three"])
def test_the_stated_hypervolume_is_the_front_s(name: str) -> None:
    """Points of the front itself: no more than the stated volume, and with many of them nearly as much."""
    task = tasks.find(name)
    angles = task.objectives - 1 if name.startswith("dtlz") else 1
    per_axis = 1001 if angles == 1 else 41
    targets = [0.31, 0.68, 0.83, 0.22, 0.57]
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, per_axis)] * angles), axis=-1).reshape(-1, angles)
    rows = []
    for angle_values in grid.tolist():
        units = [*angle_values, *targets[: len(task.space) - angles]]
        rows.append(task.evaluate({f"x{i}": unit for i, unit in enumerate(units)}).values)
    found = hypervolume(np.array(rows), np.array(task.reference))
    assert task.best_volume is not None
    assert found <= task.best_volume + 1e-6
    assert found >= task.best_volume * (0.995 if angles == 1 else 0.97)
