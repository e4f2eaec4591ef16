"""Closed forms with the optimum away from the centre and the corners: shifts and bounds are uneven where the usual
form has them even, so that a search that begins in the middle or keeps to the diagonal gains nothing."""

from __future__ import annotations

import numpy as np

from benchmarks.optimizers.spaces import Space, integer, real
from benchmarks.optimizers.tasks import functions as f
from benchmarks.optimizers.tasks._base import Task

# Where optima go, as shares of a box's half-width; drawn once, their definition is what stands here.
_DRAWN = np.array([0.294, -0.462, 0.641, -0.213, 0.527])


def _camel() -> Task:
    """Two equal global minima; a cubic term of x alone would break the tie, and the tie is the point."""
    space = Space([real("x0", -2.4, 3.2), real("x1", -1.3, 2.1)])
    optimum = f.at(np.array([0.0898420131, -0.7126564030]))
    return Task(
        name="camel",
        space=space,
        function=lambda c: f.six_hump_camel(c["x0"], c["x1"]),
        best=-1.0316284534898774,
        optimum=optimum,
    )


def _beale() -> Task:
    return Task(
        name="beale",
        space=Space(f.box(2, -4.5, 4.5)),
        function=lambda c: f.beale(c["x0"], c["x1"]),
        best=0.0,
        optimum=f.at(np.array([3.0, 0.5])),
    )


def _hartmann3() -> Task:
    return Task(
        name="hartmann3",
        space=Space(f.box(3, 0, 1)),
        function=lambda c: f.hartmann(f.point(c, 3)),
        best=-3.862779787332663,
        optimum=f.at(f.HARTMANN3_AT),
    )


def _rosenbrock4() -> Task:
    """Values up to 1e6; the valley is a thousandth of that."""
    shift_d = 3 * _DRAWN[:4]
    return Task(
        name="rosenbrock4",
        space=Space(f.box(4, -4, 6)),
        function=lambda c: f.rosenbrock(f.point(c, 4) - shift_d),
        best=0.0,
        optimum=f.at(1 + shift_d),
    )


def _levy5() -> Task:
    shift_d = 6 * _DRAWN - 1
    return Task(
        name="levy5",
        space=Space(f.box(5, -10, 10)),
        function=lambda c: f.levy(f.point(c, 5) - shift_d),
        best=0.0,
        optimum=f.at(1 + shift_d),
    )


def _styblinski5() -> Task:
    shift_d = 1.5 * _DRAWN + 1
    return Task(
        name="styblinski5",
        space=Space(f.box(5, -5, 5)),
        function=lambda c: f.styblinski_tang(f.point(c, 5) - shift_d),
        best=5 * f.STYBLINSKI_BEST,
        optimum=f.at(f.STYBLINSKI_AT + shift_d),
    )


def _michalewicz4() -> Task:
    return Task(
        name="michalewicz4",
        space=Space(f.box(4, 0, float(np.pi))),
        function=lambda c: f.michalewicz(f.point(c, 4)),
        best=-3.698857098466644,
        optimum=f.at(f.MICHALEWICZ4_AT),
    )


def _ackley6_mixed() -> Task:
    """Four floats, one of them on a logarithm, and two ints."""
    names = ("x0", "x1", "x2", "rate", "n", "k")
    optimum = {"x0": 1.47, "x1": -2.31, "x2": 3.205, "rate": 10**-2.852, "n": 7, "k": 21}

    def offset(config: dict[str, float]) -> f.Array:
        z = {name: config[name] - optimum[name] for name in names}
        z["rate"] = 1.5 * np.log10(config["rate"] / optimum["rate"])
        z["k"] /= 4
        return np.array([z[name] for name in names])

    space = [real("x0", -5, 5), real("x1", -5, 5), real("x2", -5, 5), real("rate", 1e-6, 1e-1, log=True)]
    return Task(
        name="ackley6_mixed",
        space=Space([*space, integer("n", 1, 12), integer("k", 1, 32)]),
        function=lambda c: f.ackley(offset(c)),
        best=0.0,
        optimum=dict(optimum),
    )


def tasks() -> list[Task]:
    return [
        _camel(),
        _beale(),
        _hartmann3(),
        _rosenbrock4(),
        _levy5(),
        _styblinski5(),
        _michalewicz4(),
        _ackley6_mixed(),
    ]
