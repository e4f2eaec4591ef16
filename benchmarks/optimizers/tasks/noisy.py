"""The value is seen with normal noise; the noise-free value of the chosen configuration is what counts.

The standard deviation is given as a share of a task's range of interest: the median over the space less the optimum.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.optimizers.spaces import Config, Space, choice, integer, real
from benchmarks.optimizers.tasks import functions as f
from benchmarks.optimizers.tasks._base import Task
from benchmarks.optimizers.tasks.ml import table


def _branin() -> Task:
    """Logarithm of Branin's function (its range is otherwise all peak), noise of 9 %."""
    return Task(
        name="branin_noisy",
        space=Space([real("x0", -5, 10), real("x1", 0, 15)]),
        function=lambda c: math.log(1 + f.branin(c["x0"], c["x1"])),
        noise=(0.30,),
        best=math.log(1 + 0.39788735772973816),
        optimum=f.at(np.array([math.pi, 2.275])),
    )


def _hartmann4() -> Task:
    """Noise of 20 %."""
    return Task(
        name="hartmann4_noisy",
        space=Space(f.box(4, 0, 1)),
        function=lambda c: f.hartmann4(f.point(c, 4)),
        noise=(0.65,),
        best=-3.134494141222400,
        optimum=f.at(f.HARTMANN4_AT),
    )


def _griewank5() -> Task:
    """A wide bowl whose fine waves drown in noise of 5 %."""
    shift_d = np.array([31.0, -52.0, 68.0, -17.0, 44.0])
    return Task(
        name="griewank5_noisy",
        space=Space(f.box(5, -120, 120)),
        function=lambda c: f.griewank(f.point(c, 5) - shift_d),
        noise=(0.45,),
        best=0.0,
        optimum=f.at(shift_d),
    )


def _training() -> Task:
    """A training run with categories, ints and logarithms; the seed's luck is 30 % of the range."""
    space = Space(
        [
            real("lr", 1e-5, 1e-1, log=True),
            real("decay", 1e-7, 1e-1, log=True),
            integer("batch", 8, 512, log=True),
            integer("layers", 1, 8),
            choice("norm", ["none", "batch", "layer", "group"]),
            real("smoothing", 0.0, 0.3),
        ]
    )
    optimum = {"lr": 10**-2.4, "decay": 10**-3.6, "batch": 64, "layers": 5, "norm": "layer", "smoothing": 0.09}
    return Task(name="training_noisy", space=space, function=_training_error, noise=(0.08,), best=0.1, optimum=optimum)


def _training_error(c: Config) -> float:
    lr = math.log10(c["lr"]) + 2.4 - 0.5 * math.log10(c["batch"] / 64)
    decay = math.log10(c["decay"]) + 3.6 + 0.5 * lr
    depth = 0.008 * (c["layers"] - 5) ** 2 * (2 if c["norm"] == "none" else 1)
    norm = {"none": 0.12, "batch": 0.02, "layer": 0.0, "group": 0.03}[c["norm"]]
    batch = 0.01 * math.log2(c["batch"] / 64) ** 2
    return float(0.1 + 0.06 * lr**2 + 0.012 * decay**2 + depth + norm + batch + 1.5 * (c["smoothing"] - 0.09) ** 2)


def _boosting() -> Task:
    """Real training runs (see ml.py), noise of 15 %."""
    loss = table("boosting_friedman1")
    return Task(name="boosting_noisy", space=loss.space, function=loss, noise=(0.07,))


def tasks() -> list[Task]:
    return [_branin(), _hartmann4(), _griewank5(), _training(), _boosting()]
