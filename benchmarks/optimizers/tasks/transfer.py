"""Tasks that come with earlier studies of the same space: two with related ones, two with unrelated ones.

A library that cannot use them plays the task alone; what it shows is whether related studies help and others harm.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import numpy as np

from benchmarks.optimizers.spaces import Config, Space
from benchmarks.optimizers.tasks import functions as f
from benchmarks.optimizers.tasks._base import Earlier, Task
from benchmarks.optimizers.tasks.ml import FOLDER, table

_TRIALS = 40  # of an earlier study
_ANYWHERE = 20  # of them; the others are near the best so far, as an optimizer's are


def _study(name: str, space: Space, loss: Callable[[Config], float], *, seed: int) -> Earlier:
    """A study as an optimizer leaves it: half exploration, half around the best."""
    rng = random.Random(seed)
    configs: list[Config] = []
    values: list[float] = []
    for trial in range(_TRIALS):
        if trial < _ANYWHERE:
            configs.append(space.sample(rng))
        else:
            best = configs[min(range(trial), key=values.__getitem__)]
            units = [p.to_unit(best[p.name]) + rng.gauss(0, 0.1) if p.name in best else rng.random() for p in space]
            configs.append(space.decode(units))
        values.append(float(loss(configs[-1])))
    return Earlier(name, tuple(configs), tuple((value,) for value in values))


def _hartmann6_related() -> Task:
    """Hartmann's function moved by up to .06 per coordinate; the earlier ones scaled and offset as well."""
    space = Space(f.box(6, 0, 1))
    moves = np.random.default_rng(61).uniform(-0.06, 0.06, (3, 6))

    def moved(c: Config, move_d: f.Array) -> float:
        return f.hartmann(f.point(c, 6) - move_d)

    def scaled(i: int) -> Callable[[Config], float]:
        return lambda c: 40 * i * moved(c, moves[i]) + 7

    earlier = tuple(_study(f"moved {i}", space, scaled(i), seed=i) for i in (1, 2))
    return Task(
        name="hartmann6_related",
        space=space,
        function=lambda c: moved(c, moves[0]),
        best=-3.322368011415515,
        optimum=f.at(f.HARTMANN6_AT + moves[0]),
        earlier=earlier,
    )


def _boosting_related() -> Task:
    """Boosting on one data set after real runs on two others."""
    found = []
    for name in ("boosting_friedman2", "boosting_friedman3"):
        runs = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        found.append(Earlier(name, tuple(runs["configs"]), tuple((loss,) for loss in runs["losses"])))
    loss = table("boosting_friedman1")
    return Task(name="boosting_related", space=loss.space, function=loss, earlier=tuple(found))


def _levy5_unrelated() -> Task:
    """Levy's function after studies of two others, each with its optimum elsewhere."""
    space = Space(f.box(5, -10, 10))
    shift_d = np.array([-3.1, 5.2, 0.4, -6.3, 2.6])
    elsewhere_d = np.array([6.5, -4.4, -7.2, 5.9, -5.5])
    valley = _study("valley", space, lambda c: f.rosenbrock((f.point(c, 5) - elsewhere_d) / 3), seed=3)
    wells = _study("wells", space, lambda c: f.styblinski_tang(f.point(c, 5) / 2), seed=4)
    return Task(
        name="levy5_unrelated",
        space=space,
        function=lambda c: f.levy(f.point(c, 5) - shift_d),
        best=0.0,
        optimum=f.at(1 + shift_d),
        earlier=(valley, wells),
    )


def _forest_unrelated() -> Task:
    """A forest's error after a study in which shallow trees with large leaves were best, and one of pure noise."""
    loss = table("forest_diabetes")

    def shallow(c: Config) -> float:
        return float((c["depth"] - 2) ** 2 / 30 + np.log(60 / c["leaf"]) + c["features"])

    noise = random.Random(8)
    return Task(
        name="forest_unrelated",
        space=loss.space,
        function=loss,
        earlier=(
            _study("shallow", loss.space, shallow, seed=5),
            _study("noise", loss.space, lambda c: noise.gauss(0, 1), seed=6),
        ),
    )


def tasks() -> list[Task]:
    return [_hartmann6_related(), _boosting_related(), _levy5_unrelated(), _forest_unrelated()]
