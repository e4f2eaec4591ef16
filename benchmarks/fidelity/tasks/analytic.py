"""Families of curves in closed form, each with something that a scheduler may stumble over.

    crossing   what is better in the end is slower: the order turns between the third and the ninth epoch
    sprinters  the quickest end worst: until the fifteenth epoch the order is nearly the wrong way round
    plateau    nothing happens, for as long as the configuration says; then the loss falls
    families   a tree of choices, costs that differ twentyfold, trainings that diverge or fail at once
    noisy      harmless curves in seven dimensions, under much noise that a whole training shares
    tradeoff   error against latency, where what is large is slow to train as well

Optima lie away from centres and corners. Legend: t epochs from 1 on, u unit coordinates.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.fidelity.tasks._base import Array, CurveTask
from benchmarks.optimizers.spaces import Config, Space, choice, integer, real


def tasks() -> list[CurveTask]:
    return [
        CurveTask(
            name="crossing",
            space=_CROSSING,
            epochs=27,
            curve=_crossing,
            epoch_s=lambda c: 4 + c["width"] / 16,
            epoch_noise=0.01,
        ),
        CurveTask(
            name="sprinters",
            space=_SPRINTERS,
            epochs=27,
            curve=_sprinters,
            epoch_s=lambda c: 10 + 160 / c["batch"],
            trial_noise=0.01,
            epoch_noise=0.01,
        ),
        CurveTask(name="plateau", space=_PLATEAU, epochs=81, curve=_plateau, epoch_s=lambda c: 5.0, epoch_noise=0.01),
        CurveTask(
            name="families",
            space=_FAMILIES,
            epochs=27,
            curve=_families,
            epoch_s=_families_s,
            trial_noise=0.02,
            epoch_noise=0.01,
        ),
        CurveTask(
            name="noisy",
            space=_NOISY,
            epochs=27,
            curve=_noisy,
            epoch_s=lambda c: 2 + 2 * c["layers"],
            trial_noise=0.1,
            epoch_noise=0.05,
        ),
        CurveTask(
            name="tradeoff",
            space=_TRADEOFF,
            epochs=27,
            curve=_tradeoff,
            epoch_s=lambda c: 2 * _latency_ms(c),
            objectives=2,
            trial_noise=0.01,
            epoch_noise=0.01,
            reference=(1.0, 30.0),
        ),
    ]


def _epochs(count: int) -> Array:
    return np.arange(1, count + 1, dtype=np.float64)


def _units(space: Space, config: Config) -> dict[str, float]:
    """Unit coordinates by name; options at the middle of their share."""
    return {
        parameter.name: parameter.to_unit(config[parameter.name]) for parameter in space if parameter.name in config
    }


def _falling(t: Array, *, start: float, floor: float, pace: float) -> Array:
    """From `start` towards `floor`, a power law that is halfway down after about `pace` epochs."""
    return floor + (start - floor) / (1 + t / pace) ** 1.5


# -- crossing ----------------------------------------------------------------------------------------------------------

_CROSSING = Space(
    [
        real("lr", 1e-5, 1e-1, log=True),
        real("momentum", 0.0, 1.0),
        integer("width", 16, 1024, log=True),
        real("dropout", 0.0, 0.8),
        choice("activation", ["relu", "gelu", "tanh"]),
    ]
)
_ACTIVATIONS = {"relu": 0.03, "gelu": 0.0, "tanh": 0.06}


def _crossing(config: Config) -> Array:
    u = _units(_CROSSING, config)
    ridge = u["lr"] - (0.75 - 0.45 * u["width"])  # the wider, the smaller
    floor = 0.08 + 0.9 * ridge**2 + 0.15 * (1 - u["width"]) ** 2 + 0.2 * (u["momentum"] - 0.7) ** 2
    floor += 0.12 * (u["dropout"] - 0.3) ** 2 + _ACTIVATIONS[config["activation"]]
    pace = 0.3 * 12 ** (0.9 * u["width"] + 0.5 * (1 - u["lr"]) - 0.2)
    return _falling(_epochs(27), start=1.0, floor=floor, pace=pace)


# -- sprinters ---------------------------------------------------------------------------------------------------------

_SPRINTERS = Space(
    [
        real("lr", 1e-4, 1.0, log=True),
        real("decay", 1e-6, 1e-1, log=True),
        integer("batch", 8, 256, log=True),
        real("smoothing", 0.0, 0.5),
    ]
)


def _sprinters(config: Config) -> Array:
    """Quick learners stop early at a bad floor, and rise from it."""
    u, t = _units(_SPRINTERS, config), _epochs(27)
    heat = u["lr"] - 0.4 * (u["batch"] - 0.5)  # what drives it: the step over the batch
    best = 0.1 + 1.2 * (heat - 0.35) ** 2 + 0.15 * (u["decay"] - 0.62) ** 2 + 0.1 * (u["smoothing"] - 0.25) ** 2
    pace = 12 * 60 ** -min(max(heat, -0.1), 1.1)
    floor = best + 0.25 * max(0.0, heat - 0.35)
    rise = 0.12 * max(0.0, heat - 0.3) * np.log1p(t / 6)
    return _falling(t, start=1.2, floor=floor, pace=pace) + rise


# -- plateau -----------------------------------------------------------------------------------------------------------

_PLATEAU = Space(
    [
        real("lr", 1e-4, 1.0, log=True),
        real("scale", 0.01, 1.0, log=True),
        integer("depth", 1, 16),
        real("decay", 1e-6, 1e-2, log=True),
        choice("norm", ["none", "batch", "layer"]),
    ]
)
_DELAYS = {"none": 1.5, "batch": 0.7, "layer": 1.0}
_NORMS = {"none": 0.0, "batch": 0.05, "layer": 0.02}


def _plateau(config: Config) -> Array:
    u, t = _units(_PLATEAU, config), _epochs(81)
    begins = 2 * _DELAYS[config["norm"]] * (1 + 1.5 * u["depth"]) * 4 ** (1 - u["lr"]) * 2 ** (1 - u["scale"])
    floor = 0.1 + _NORMS[config["norm"]] + 0.4 * (u["depth"] - 0.65) ** 2 + 0.15 * (u["decay"] - 0.4) ** 2
    floor += 0.8 * max(0.0, u["lr"] - 0.7) ** 2 + 0.1 * (u["scale"] - 0.55) ** 2
    falls = 1 / (1 + np.exp(-(t - begins) / (2 + 0.08 * begins)))
    level = 0.7 - 0.05 * t / (t + begins)  # a little lower for those that will fall sooner
    return np.asarray((1 - falls) * level + falls * floor)


# -- families ----------------------------------------------------------------------------------------------------------

_FAMILIES = Space(
    [
        choice("model", ["linear", "trees", "network"]),
        real("lr", 1e-4, 1.0, log=True),
        integer("depth", 1, 14, when=("model", "trees")),
        real("rows", 0.1, 1.0, when=("model", "trees")),
        integer("width", 16, 1024, log=True, when=("model", "network")),
        choice("optimizer", ["sgd", "adam"], when=("model", "network")),
        real("momentum", 0.0, 0.99, when=("optimizer", "sgd")),
        real("penalty", 1e-6, 1e1, log=True),
    ]
)
_BROKEN = np.full(27, np.nan)


def _families(config: Config) -> Array:
    """A linear model is there at once, trees are a little better, a network is much better and slow."""
    u, t = _units(_FAMILIES, config), _epochs(27)
    off = 0.1 * (u["penalty"] - 0.35) ** 2
    if config["model"] == "linear":
        return _falling(t, start=0.8, floor=0.4 + 0.2 * (u["lr"] - 0.5) ** 2 + off, pace=0.5)
    if config["model"] == "trees":
        if config["depth"] > 11 and config["rows"] > 0.7:
            return _BROKEN  # out of memory
        floor = 0.24 + 0.4 * (u["depth"] - 0.45) ** 2 + 0.1 * (u["rows"] - 0.6) ** 2 + off
        return _falling(t, start=0.9, floor=floor + 0.3 * (u["lr"] - 0.6) ** 2, pace=2 + 6 * (1 - u["lr"]))
    best_lr = 0.62 - 0.3 * u["width"] - (0.15 if config["optimizer"] == "adam" else 0.0)
    floor = 0.12 + 0.1 * (u["width"] - 0.7) ** 2 + 1.5 * (u["lr"] - best_lr) ** 2 + off
    floor += 0.03 if config["optimizer"] == "adam" else 0.15 * (u["momentum"] - 0.85) ** 2
    curve = _falling(t, start=1.2, floor=floor, pace=1.5 + 1.5 * u["width"])
    too_hot = u["lr"] - (best_lr + 0.35)
    return np.where(t >= 1 + 9 * math.exp(-12 * too_hot), np.nan, curve) if too_hot > 0 else curve


def _families_s(config: Config) -> float:
    if config["model"] == "linear":
        return 2.0
    return float(6 * config["rows"] + 2 if config["model"] == "trees" else 8 + config["width"] / 32)


# -- noisy -------------------------------------------------------------------------------------------------------------

_NOISY = Space(
    [
        real("lr", 1e-5, 1e-1, log=True),
        real("decay", 1e-6, 1e-1, log=True),
        real("dropout", 0.0, 0.8),
        real("warmup", 0.0, 0.5),
        integer("layers", 1, 9),
        integer("heads", 1, 16, log=True),
        choice("schedule", ["constant", "linear", "cosine"]),
    ]
)
_SCHEDULES = {"constant": 0.05, "linear": 0.015, "cosine": 0.0}


def _noisy(config: Config) -> Array:
    u = _units(_NOISY, config)
    floor = 0.2 + 0.8 * (u["lr"] - 0.42 - 0.15 * (u["warmup"] - 0.4)) ** 2 + 0.1 * (u["decay"] - 0.7) ** 2
    floor += 0.2 * (u["dropout"] - 0.25) ** 2 + 0.25 * (u["layers"] - 0.75) ** 2 + 0.05 * (u["heads"] - 0.5) ** 2
    floor += _SCHEDULES[config["schedule"]]
    return _falling(_epochs(27), start=1.5, floor=floor, pace=0.6 + 0.8 * (1 - u["lr"]))


# -- tradeoff ----------------------------------------------------------------------------------------------------------

_TRADEOFF = Space(
    [
        choice("block", ["plain", "residual", "attention"]),
        integer("layers", 2, 16),
        integer("width", 16, 512, log=True),
        integer("heads", 1, 8, log=True, when=("block", "attention")),
        real("lr", 1e-5, 1e-1, log=True),
        real("dropout", 0.0, 0.6),
    ]
)


def _latency_ms(config: Config) -> float:
    """1 to 29 ms."""
    heads = 0.35 * math.log2(1 + config["heads"]) if config["block"] == "attention" else 0.0
    kind = {"plain": 1.0, "residual": 1.15, "attention": 1.25}[config["block"]]
    return float(1 + config["layers"] * (0.1 + config["width"] / 512) * kind + heads * config["layers"] / 8)


def _tradeoff(config: Config) -> Array:
    u = _units(_TRADEOFF, config)
    power = 0.5 * u["layers"] + 0.5 * u["width"]
    too_deep = max(0.0, u["layers"] - 0.4) ** 2 if config["block"] == "plain" else 0.0
    floor = 0.06 + {"plain": 0.45, "residual": 0.4, "attention": 0.42}[config["block"]] * (1 - power) ** 1.5
    if config["block"] == "attention":
        floor += 0.1 * (u["heads"] - 0.6) ** 2 - 0.07 * power
    floor += 0.8 * too_deep + 0.9 * (u["lr"] - (0.7 - 0.35 * power)) ** 2 + 0.15 * (u["dropout"] - 0.5 * power) ** 2
    pace = 0.5 + 2.5 * power + (1 - u["lr"])
    error_e = np.minimum(_falling(_epochs(27), start=1.0, floor=floor, pace=pace), 2.0)
    return np.stack([error_e, np.full(27, _latency_ms(config))], axis=1)
