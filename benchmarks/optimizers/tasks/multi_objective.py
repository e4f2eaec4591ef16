"""Two and three objectives. The hypervolume counts, up to a reference point that optimizers are not told.

Where the front is known in closed form its hypervolume is given; else references.json holds the best found.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from benchmarks.optimizers.spaces import Config, Space, real
from benchmarks.optimizers.tasks import functions as f
from benchmarks.optimizers.tasks._base import Task
from benchmarks.optimizers.tasks.ml import table

# ZDT's and DTLZ's other coordinates have their optimum at 0 or .5 each; here they have it at these places.
_TARGETS = np.array([0.31, 0.68, 0.83, 0.22, 0.57, 0.41])
_ZDT_REFERENCE = (1.1, 3.0)  # g is 1 on the front and 3 to 4 in the middle of the space
_ZDT3_VOLUME = 3.421761  # of a million points of the front, whose pieces are not known in closed form


def _zdt(name: str, shape: str, volume: float) -> Task:
    """Zitzler, Deb and Thiele (2000): f2 = g h(f1/g), g = 1 on the front; six dimensions."""

    def values(c: Config) -> tuple[float, float]:
        x_d = f.point(c, 6)
        g = 1 + 9 * float(np.mean(np.abs(x_d[1:] - _TARGETS[:5])))
        share = x_d[0] / g
        if shape == "convex":
            return float(x_d[0]), g * (1 - math.sqrt(share))
        if shape == "concave":
            return float(x_d[0]), g * (1 - share**2)
        return float(x_d[0]), g * (1 - math.sqrt(share) - share * math.sin(10 * math.pi * x_d[0]))

    return Task(
        name=name,
        space=Space(f.box(6, 0, 1)),
        function=values,
        objectives=2,
        reference=_ZDT_REFERENCE,
        best_volume=volume,
    )


def _zdt_volume(area_below: float) -> float:
    """The volume of a front over f1 in [0, 1] under which `area_below` lies, and of the strip beyond f1 = 1."""
    right, top = _ZDT_REFERENCE
    return top - area_below + (right - 1) * top


def _dtlz2(name: str, objectives: int, volume: float) -> Task:
    """Deb et al. (2005): the front is the positive part of the unit sphere; one dimension per angle and four more."""
    angles = objectives - 1

    def values(c: Config) -> list[float]:
        x_d = f.point(c, angles + 4)
        radius = 1 + 2 * float(np.sum((x_d[angles:] - _TARGETS[:4]) ** 2))
        found = []
        for i in range(objectives):
            value = radius * float(np.prod(np.cos(x_d[: angles - i] * math.pi / 2)))
            found.append(value * math.sin(x_d[angles - i] * math.pi / 2) if i else value)
        return found

    return Task(
        name=name,
        space=Space(f.box(angles + 4, 0, 1)),
        function=values,
        objectives=objectives,
        reference=(1.5,) * objectives,
        best_volume=volume,
    )


def _branin_currin() -> Task:
    """Currin et al. (1991) beside Branin, as in BoTorch."""

    def values(c: Config) -> tuple[float, float]:
        x, y = c["x0"], c["x1"]
        factor = 1 - math.exp(-1 / (2 * y)) if y > 0 else 1.0
        ratio = (2300 * x**3 + 1900 * x**2 + 2092 * x + 60) / (100 * x**3 + 500 * x**2 + 4 * x + 20)
        return f.branin(15 * x - 5, 15 * y), factor * ratio

    return Task(name="branin_currin", space=Space(f.box(2, 0, 1)), function=values, objectives=2, reference=(18.0, 6.0))


def _four_bar() -> Task:
    """A truss of four bars: volume against displacement (Cheng and Li, 1999; RE21 of Tanabe and Ishibuchi, 2020)."""
    root = math.sqrt(2)

    def values(c: Config) -> tuple[float, float]:
        a, b, e, g = (c[f"x{i}"] for i in range(4))
        volume = 200 * (2 * a + root * b + math.sqrt(e) + g)
        return volume, 10 * 200 / 2e5 * (2 / a + 2 * root / b - 2 * root / e + 2 / g)

    space = Space([real("x0", 1, 3), real("x1", root, 3), real("x2", root, 3), real("x3", 1, 3)])
    return Task(name="four_bar", space=space, function=values, objectives=2, reference=(2900.0, 0.045))


def _vehicle() -> Task:
    """Mass, acceleration and intrusion of a car's front (Liao et al., 2008; RE34 of Tanabe and Ishibuchi, 2020)."""

    def values(c: Config) -> tuple[float, float, float]:
        a, b, e, g, h = (c[f"x{i}"] for i in range(5))
        mass = 1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * e + 7.7213633 * g + 4.4559504 * h
        acceleration = (
            6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * e + 0.8364 * g - 0.3695 * a * g + 0.0861 * a * h
            + 0.3628 * b * g - 0.1106 * a**2 - 0.3437 * e**2 + 0.1764 * g**2
        )  # fmt: skip
        intrusion = (
            -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * e - 0.0073 * a * b + 0.0240 * b * e - 0.0118 * b * g
            - 0.0204 * e * g - 0.0080 * e * h - 0.0241 * b**2 + 0.0109 * g**2
        )  # fmt: skip
        return mass, acceleration, intrusion

    return Task(
        name="vehicle", space=Space(f.box(5, 1, 3)), function=values, objectives=3, reference=(1700.0, 11.5, 0.27)
    )


def network_cost(c: Config) -> float:
    """The logarithm (base 10) of a network's multiplications and activations for one image of 8 x 8 pixels."""
    widths = [64, c["width0"], *([c["width1"]] if "width1" in c else []), 10]
    activation = {"relu": 1, "tanh": 12, "logistic": 10}[c["activation"]]  # operations each, about
    products = sum(a * b for a, b in itertools.pairwise(widths))
    return math.log10(products + activation * sum(widths[1:-1]))


def _network_size() -> Task:
    """Log loss against operations: ints, categories and a conditional width."""
    loss = table("network_digits")
    return Task(
        name="network_size",
        space=loss.space,
        function=lambda c: (loss(c), network_cost(c)),
        objectives=2,
        reference=(2.3, 4.1),
    )


def _forest_size() -> Task:
    """Error against the logarithm of the number of leaves: ints, a category and a conditional share of rows."""
    loss = table("forest_diabetes")

    def leaves(c: Config) -> float:
        rows = 331 * c.get("rows", 1.0)  # three quarters of the data set train
        return math.log10(c["trees"] * min(2.0 ** c["depth"], 0.7 * rows / c["leaf"] + 1))

    return Task(
        name="forest_size",
        space=loss.space,
        function=lambda c: (loss(c), leaves(c)),
        objectives=2,
        reference=(0.8, 3.5),
    )


def tasks() -> list[Task]:
    return [
        _zdt("zdt1", "convex", _zdt_volume(1 / 3)),
        _zdt("zdt2", "concave", _zdt_volume(2 / 3)),
        _zdt("zdt3", "broken", _ZDT3_VOLUME),
        _dtlz2("dtlz2_two", 2, 1.5**2 - math.pi / 4),
        _dtlz2("dtlz2_three", 3, 1.5**3 - math.pi / 6),
        _branin_currin(),
        _four_bar(),
        _vehicle(),
        _network_size(),
        _forest_size(),
    ]
