"""Twenty to a hundred dimensions, 200 trials: some depend on few of them, some on all."""

from __future__ import annotations

import numpy as np

from benchmarks.optimizers.spaces import Space
from benchmarks.optimizers.tasks import functions as f
from benchmarks.optimizers.tasks._base import Task

TRIALS = 200

# Which coordinates matter and where optima lie, drawn once; the draws are the tasks' definition.
_RNG = np.random.default_rng(2024)
_HARTMANN_AXES = _RNG.choice(100, 6, replace=False)
_SPARSE_AXES = _RNG.choice(60, 8, replace=False)
_SPARSE_TARGETS = _RNG.uniform(-0.7, 0.7, 8)
_LEVY_SHIFT = _RNG.uniform(-5, 5, 20)
_RASTRIGIN_SHIFT = _RNG.uniform(-0.6, 0.6, 20)


def _hartmann6_in_100() -> Task:
    """Six of a hundred coordinates matter."""
    optimum_d = np.full(100, 0.5)
    optimum_d[_HARTMANN_AXES] = f.HARTMANN6_AT
    return Task(
        name="hartmann6_in_100",
        space=Space(f.box(100, 0, 1)),
        function=lambda c: f.hartmann(f.point(c, 100)[_HARTMANN_AXES]),
        trials=TRIALS,
        best=-3.322368011415515,
        optimum=f.at(optimum_d),
    )


def _levy20() -> Task:
    """All coordinates matter, equally."""
    return Task(
        name="levy20",
        space=Space(f.box(20, -10, 10)),
        function=lambda c: f.levy(f.point(c, 20) - _LEVY_SHIFT),
        trials=TRIALS,
        best=0.0,
        optimum=f.at(1 + _LEVY_SHIFT),
    )


def _rastrigin20() -> Task:
    """A bowl with shallow waves, its axes weighted from 1 to 1/20."""
    weights_d = np.sqrt(1 / np.arange(1, 21))
    return Task(
        name="rastrigin20",
        space=Space(f.box(20, -1, 1)),
        function=lambda c: f.rastrigin(3 * weights_d * (f.point(c, 20) - _RASTRIGIN_SHIFT), depth=1.5),
        trials=TRIALS,
        best=0.0,
        optimum=f.at(_RASTRIGIN_SHIFT),
    )


def _sparse60() -> Task:
    """As a lasso's penalties per feature group: eight of sixty matter, neighbours interact, others are nearly flat."""

    def loss(config: dict[str, float]) -> float:
        x_d = f.point(config, 60)
        off = x_d[_SPARSE_AXES] - _SPARSE_TARGETS
        others = np.delete(x_d, _SPARSE_AXES)
        strong = np.sum(np.arange(8, 0, -1) / 4 * off**2) + 0.8 * np.sum((off[1:] + off[:-1]) ** 2)
        return float(strong + 0.002 * np.sum(others**2))

    optimum_d = np.zeros(60)
    optimum_d[_SPARSE_AXES] = _SPARSE_TARGETS
    return Task(
        name="sparse60",
        space=Space(f.box(60, -1, 1)),
        function=loss,
        trials=TRIALS,
        best=0.0,
        optimum=f.at(optimum_d),
    )


def tasks() -> list[Task]:
    return [_hartmann6_in_100(), _levy20(), _rastrigin20(), _sparse60()]
