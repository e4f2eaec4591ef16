"""Trees of choices whose options have parameters of their own, as model families have.

The functions are made so that a task's optimum is known: every branch is its own best value plus non-negative terms
that vanish at one place.
"""

from __future__ import annotations

import math

from benchmarks.optimizers.spaces import Config, Space, choice, integer, real
from benchmarks.optimizers.tasks._base import Task


def _families() -> Task:
    """Four model families of very different quality and of one to five parameters; the best has the most."""
    space = Space(
        [
            choice("model", ["linear", "neighbours", "forest", "network"]),
            real("ridge", 1e-5, 1e3, log=True, when=("model", "linear")),
            integer("k", 1, 60, log=True, when=("model", "neighbours")),
            choice("weights", ["uniform", "distance"], when=("model", "neighbours")),
            integer("leaf", 1, 50, log=True, when=("model", "forest")),
            real("features", 0.05, 1.0, when=("model", "forest")),
            real("rows", 0.2, 1.0, when=("model", "forest")),
            real("lr", 1e-5, 1.0, log=True, when=("model", "network")),
            integer("width", 8, 512, log=True, when=("model", "network")),
            integer("layers", 1, 6, when=("model", "network")),
            real("dropout", 0.0, 0.7, when=("model", "network")),
            choice("activation", ["relu", "tanh", "silu"], when=("model", "network")),
        ]
    )

    def error(c: Config) -> float:
        if c["model"] == "linear":
            return 0.34 + 0.01 * math.log10(c["ridge"] / 3.0) ** 2
        if c["model"] == "neighbours":
            return 0.27 + 0.05 * math.log2(c["k"] / 9) ** 2 / 4 + (0.015 if c["weights"] == "uniform" else 0.0)
        if c["model"] == "forest":
            leaf = 0.012 * math.log2(c["leaf"] / 3) ** 2
            return float(0.17 + leaf + 0.25 * (c["features"] - 0.31) ** 2 + 0.1 * (c["rows"] - 0.78) ** 2)
        off = math.log10(c["lr"]) + 2.6 + 0.35 * math.log2(c["width"] / 90) / 2
        shape = 0.008 * math.log2(c["width"] / 180) ** 2 + 0.012 * (c["layers"] - 3) ** 2
        drop = 0.35 * (c["dropout"] - 0.06 * c["layers"]) ** 2
        return float(0.11 + 0.2 * (1 - math.exp(-0.6 * off**2)) + shape + drop + _ACTIVATION[c["activation"]])

    lr = 10 ** (-2.6 - 0.35 * math.log2(180 / 90) / 2)
    optimum = {"model": "network", "lr": lr, "width": 180, "layers": 3, "dropout": 0.18, "activation": "silu"}
    return Task(name="families", space=space, function=error, best=0.11, optimum=optimum)


_ACTIVATION = {"relu": 0.012, "tanh": 0.05, "silu": 0.0}


def _decoy() -> Task:
    """One branch is good at once and cannot improve much; the other is bad nearly everywhere and has the optimum."""
    space = Space(
        [
            choice("method", ["safe", "bold"]),
            real("a", 0, 1, when=("method", "safe")),
            real("b", 0, 1, when=("method", "safe")),
            real("u", 1e-4, 1e0, log=True, when=("method", "bold")),
            real("v", 0, 1, when=("method", "bold")),
            integer("w", 1, 40, when=("method", "bold")),
        ]
    )

    def loss(c: Config) -> float:
        if c["method"] == "safe":
            return float(0.30 + 0.08 * ((c["a"] - 0.62) ** 2 + (c["b"] - 0.27) ** 2))
        off = (math.log10(c["u"]) + 1.4) ** 2 / 0.8 + (c["v"] - 0.71) ** 2 / 0.12 + (c["w"] - 13) ** 2 / 160
        return 0.05 + 0.65 * (1 - math.exp(-off))

    optimum = {"method": "bold", "u": 10**-1.4, "v": 0.71, "w": 13}
    return Task(name="decoy", space=space, function=loss, best=0.05, optimum=optimum)


def _optimizers() -> Task:
    """Two levels: the optimiser brings its own parameters, one of them a choice with children; so does the schedule."""
    space = Space(
        [
            real("lr", 1e-6, 1e0, log=True),
            choice("optimizer", ["sgd", "adam", "shampoo"]),
            choice("momentum_kind", ["none", "heavy", "nesterov"], when=("optimizer", "sgd")),
            real("momentum", 0.5, 0.999, when=("momentum_kind", ["heavy", "nesterov"])),
            real("beta2", 0.9, 0.9999, when=("optimizer", "adam")),
            real("decay", 1e-6, 1e-1, log=True, when=("optimizer", "adam")),
            integer("block", 8, 256, log=True, when=("optimizer", "shampoo")),
            choice("schedule", ["constant", "step", "cosine"]),
            integer("steps", 1, 6, when=("schedule", "step")),
            real("drop", 0.05, 0.9, when=("schedule", "step")),
            real("warmup", 0.0, 0.4, when=("schedule", "cosine")),
        ]
    )
    optimum = {
        "lr": 10**-2.9,
        "optimizer": "adam",
        "beta2": 0.97,
        "decay": 10**-2.2,
        "schedule": "cosine",
        "warmup": 0.11,
    }
    return Task(
        name="optimizers",
        space=space,
        function=lambda c: 0.2 + _optimizer_loss(c) + _schedule_loss(c),
        best=0.2,
        optimum=optimum,
    )


def _optimizer_loss(c: Config) -> float:
    lr = math.log10(c["lr"])
    if c["optimizer"] == "sgd":
        if c["momentum_kind"] == "none":
            return 0.42 + 0.10 * (lr + 0.7) ** 2
        effective = lr - math.log10(1 - c["momentum"])
        return (0.10 if c["momentum_kind"] == "nesterov" else 0.14) + 0.12 * (effective + 0.3) ** 2
    if c["optimizer"] == "adam":
        return float(
            0.16 * (lr + 2.9) ** 2 + 40 * (c["beta2"] - 0.97) ** 2 + 0.03 * (math.log10(c["decay"]) + 2.2) ** 2
        )
    return 0.06 + 0.25 * (lr + 3.8) ** 2 + 0.015 * math.log2(c["block"] / 64) ** 2


def _schedule_loss(c: Config) -> float:
    if c["schedule"] == "constant":
        return 0.15
    if c["schedule"] == "step":
        return float(0.05 + 0.01 * (c["steps"] - 3) ** 2 + 0.2 * (c["drop"] - 0.3) ** 2)
    return float(1.5 * (c["warmup"] - 0.11) ** 2)


def _pipeline() -> Task:
    """A preprocessor and a model that depend on each other; the kernel, a choice of a choice, has its own children."""
    space = Space(
        [
            choice("prepare", ["raw", "scale", "reduce", "select"]),
            real("kept", 0.3, 0.99, when=("prepare", "reduce")),
            choice("score", ["f", "mutual"], when=("prepare", "select")),
            integer("features", 2, 60, log=True, when=("prepare", "select")),
            choice("model", ["tree", "vector"]),
            integer("depth", 1, 20, when=("model", "tree")),
            real("cost", 1e-3, 1e4, log=True, when=("model", "vector")),
            choice("kernel", ["linear", "polynomial", "radial"], when=("model", "vector")),
            integer("degree", 2, 5, when=("kernel", "polynomial")),
            real("coef", 0.0, 2.0, when=("kernel", "polynomial")),
            real("gamma", 1e-6, 1e1, log=True, when=("kernel", "radial")),
        ]
    )
    optimum = {
        "prepare": "reduce",
        "kept": 0.86,
        "model": "vector",
        "cost": 10**1.1,
        "kernel": "radial",
        "gamma": 10**-2.3,
    }
    return Task(name="pipeline", space=space, function=_pipeline_error, best=0.04, optimum=optimum)


def _pipeline_error(c: Config) -> float:
    if c["model"] == "tree":
        made = {"raw": 0.0, "scale": 0.0, "reduce": 0.08, "select": 0.01}[c["prepare"]]
        return float(0.17 + made + 0.0015 * (c["depth"] - 7) ** 2)
    made = {"raw": 0.25, "scale": 0.02, "reduce": 0.0, "select": 0.03}[c["prepare"]]
    if c["prepare"] == "reduce":
        made += 0.6 * (c["kept"] - 0.86) ** 2
    if c["prepare"] == "select":
        made += 0.01 * math.log2(c["features"] / 25) ** 2 + (0.01 if c["score"] == "f" else 0.0)
    cost = math.log10(c["cost"])
    if c["kernel"] == "linear":
        return 0.13 + made + 0.012 * (cost + 1.2) ** 2
    if c["kernel"] == "polynomial":
        return float(
            0.08 + made + 0.02 * (c["degree"] - 3) ** 2 + 0.03 * (c["coef"] - 1.2) ** 2 + 0.008 * (cost - 0.2) ** 2
        )
    gamma = math.log10(c["gamma"]) + 2.3
    ridge = gamma + 0.5 * (cost - 1.1)
    return 0.04 + made + 0.8 * (1 - math.exp(-0.25 * ridge**2 - 0.04 * (cost - 1.1) ** 2))


def _layers() -> Task:
    """An int decides how many of the others exist: a width for each layer; widths should fall by halves."""
    widths = [integer(f"width{i}", 8, 512, log=True, when=("layers", range(i + 1, 5))) for i in range(4)]
    space = Space([real("lr", 1e-5, 1e-1, log=True), integer("layers", 1, 4), *widths, real("dropout", 0.0, 0.6)])
    target = (240, 120, 60)

    def error(c: Config) -> float:
        count = c["layers"]
        wrong = sum(0.02 * math.log2(c[f"width{i}"] / (240 / 2**i)) ** 2 for i in range(count))
        depth = (0.0, 0.12, 0.05, 0.0, 0.03)[count]
        lr = 0.05 * (math.log10(c["lr"]) + 2.2 + 0.25 * count) ** 2
        return float(0.09 + depth + wrong / count + lr + 0.3 * (c["dropout"] - 0.08 * count) ** 2)

    optimum = {"lr": 10**-2.95, "layers": 3, **{f"width{i}": w for i, w in enumerate(target)}, "dropout": 0.24}
    return Task(name="layers", space=space, function=error, best=0.09, optimum=optimum)


def tasks() -> list[Task]:
    return [_families(), _decoy(), _optimizers(), _pipeline(), _layers()]
