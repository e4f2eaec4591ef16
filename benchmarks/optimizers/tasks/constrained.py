"""Limits on metrics, regions where trials fail, and constraints on the configuration itself.

A trial beyond a limit ends and is told with its metrics; a failed trial has no values. The best feasible value counts.
"""

from __future__ import annotations

import math

from benchmarks.optimizers.spaces import Config, Limit, Space, choice, integer, real
from benchmarks.optimizers.tasks._base import Outcome, Task
from benchmarks.optimizers.tasks.ml import table
from benchmarks.optimizers.tasks.multi_objective import network_cost


def _wavy() -> Task:
    """A plane within a wave and a circle (Gramacy et al., 2016, section 4): a third of the square is feasible."""

    def outcome(c: Config) -> Outcome:
        a, b = c["x0"], c["x1"]
        wave = 1.5 - a - 2 * b - 0.5 * math.sin(2 * math.pi * (a**2 - 2 * b))
        return Outcome((a + b,), {"wave": wave, "circle": a**2 + b**2 - 1.5})

    return Task(
        name="wavy",
        space=Space([real("x0", 0, 1), real("x1", 0, 1)]),
        function=outcome,
        best=0.5997880520100676,
        optimum={"x0": 0.195122684301, "x1": 0.404665367710},
        limits={"wave": 0.0, "circle": 0.0},
    )


def _vessel() -> Task:
    """The cost of a pressure vessel, its plates in sixteenths of an inch (Sandgren, 1990; Coello, 2000)."""

    def outcome(c: Config) -> Outcome:
        shell, head, radius, length = c["shell"] / 16, c["head"] / 16, c["radius"], c["length"]
        cost = 0.6224 * shell * radius * length + 1.7781 * head * radius**2
        cost += 3.1661 * shell**2 * length + 19.84 * shell**2 * radius
        volume = math.pi * radius**2 * length + 4 / 3 * math.pi * radius**3
        metrics = {
            "shell_stress": 0.0193 * radius / shell,
            "head_stress": 0.00954 * radius / head,
            "shortfall": math.log(1_296_000 / volume),
        }
        return Outcome((cost,), metrics)

    space = [integer("shell", 1, 32), integer("head", 1, 32), real("radius", 10, 100), real("length", 10, 240)]
    return Task(
        name="vessel",
        space=Space(space),
        function=outcome,
        best=5850.383060329162,  # by trying every pair of thicknesses
        optimum={"shell": 12, "head": 6, "radius": 38.8601036, "length": 221.365472},
        limits={"shell_stress": 1.0, "head_stress": 1.0, "shortfall": 0.0},
    )


def _network_within() -> Task:
    """A network's log loss within 1,300 operations: a quarter of the space; the limit binds at the optimum."""
    loss = table("network_digits")
    return Task(
        name="network_within",
        space=loss.space,
        function=lambda c: Outcome((loss(c),), {"log_operations": network_cost(c)}),
        limits={"log_operations": math.log10(1300)},
    )


def _edge() -> Task:
    """Training that breaks down above a learning rate that falls with width and momentum; the best is just below."""
    space = Space(
        [
            real("lr", 1e-4, 1e1, log=True),
            real("momentum", 0.0, 0.99),
            integer("width", 16, 512, log=True),
            choice("norm", ["none", "layer"]),
        ]
    )

    def headroom(c: Config) -> float:
        """By how many orders of magnitude the learning rate may still grow."""
        stable = 2.0 * (1 - c["momentum"]) * (64 / c["width"]) ** 0.5 * (4.0 if c["norm"] == "layer" else 1.0)
        return math.log10(stable / c["lr"])

    def outcome(c: Config) -> Outcome:
        left = headroom(c)
        if left < 0:
            return Outcome(None)
        shape = 0.02 * math.log2(c["width"] / 128) ** 2 + (0.05 if c["norm"] == "none" else 0.0)
        return Outcome((0.1 + 0.12 * left + shape + 0.3 * (c["momentum"] - 0.85) ** 2,))

    lr = 2.0 * (1 - 0.85) * (64 / 128) ** 0.5 * 4.0
    optimum = {"lr": lr * (1 - 1e-12), "momentum": 0.85, "width": 128, "norm": "layer"}
    return Task(name="edge", space=space, function=outcome, best=0.1, optimum=optimum)


def _batches() -> Task:
    """What fits a device and a budget: a product of ints and a sum of shares are limited, and both limits bind."""
    space = Space(
        [
            integer("batch", 8, 2048, log=True),
            integer("accumulate", 1, 64, log=True),
            real("share_a", 0.0, 1.0),
            real("share_b", 0.0, 1.0),
            real("lr", 1e-5, 1e-1, log=True),
        ]
    )

    def loss(c: Config) -> float:
        together = c["batch"] * c["accumulate"]
        short = 0.03 * (12 - math.log2(together))  # never negative: the product is limited
        split = 0.012 * math.log2(c["accumulate"] / 8) ** 2
        shares = 0.3 * (1 - c["share_a"] - c["share_b"]) + 0.8 * (c["share_a"] - 0.62) ** 2
        return float(0.1 + short + split + shares + 0.05 * (math.log10(c["lr"]) + 2.7) ** 2)

    return Task(
        name="batches",
        space=space,
        function=loss,
        best=0.1,
        optimum={"batch": 512, "accumulate": 8, "share_a": 0.62, "share_b": 0.38, "lr": 10**-2.7},
        inputs=(
            Limit("product", (("batch", 1.0), ("accumulate", 1.0)), 4096.0),
            Limit("sum", (("share_a", 1.0), ("share_b", 1.0)), 1.0),
        ),
    )


def tasks() -> list[Task]:
    return [_wavy(), _vessel(), _network_within(), _edge(), _batches()]
