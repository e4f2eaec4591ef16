"""What learning from an earlier study saves, and what an unrelated one costs: trials of `gp` to a target value.

python benchmarks/transfer.py --seeds 10

Each family of tasks is one function with optima, scales and offsets drawn per task, as one model on several data sets.
A search begins with nothing ("cold"), with a study of another task of its family ("related"), with one of a random
smooth function of the same space ("unrelated"), or with one of each and two more unrelated ones ("mixed"). Targets are
the cold searches' median best values after 8, 12, 16 and 20 trials.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import paretune as pt

Array = npt.NDArray[np.float64]
Function = Callable[[Any], float]

TRIALS = 20
TARGETS = (8, 12, 16, 20)
STARTS = ["related", "unrelated", "mixed"]
GOALS = {"loss": "minimize"}


@dataclass(frozen=True)
class Family:
    """Tasks of one space: a number of the task to its function."""

    space: dict[str, Any]
    task: Callable[[int], Function]


def cube(d: int) -> dict[str, Any]:
    return {f"x{i}": pt.Float(0, 1) for i in range(d)}


def moved(function: Callable[[Array], float], d: int, *, by: float) -> Callable[[int], Function]:
    """Tasks of a function of the cube: moved by up to `by` in each coordinate, scaled up to tenfold, offset."""

    def task(number: int) -> Function:
        rng = np.random.default_rng([7, number])
        shift_d, scale, offset = rng.uniform(-by, by, d), 10 ** rng.uniform(-0.5, 0.5), rng.normal()
        return lambda config: offset + scale * function(np.array(list(config.values())) + shift_d)

    return task


def branin(x: Array) -> float:
    a, b = 15 * x[0] - 5, 15 * x[1]
    ridge = (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2
    return float(ridge + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(x: Array) -> float:
    return float(-np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def levy4(x: Array) -> float:
    w = 1 + (20 * x - 11) / 4
    inner = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    return float(np.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2))


NETWORK: dict[str, Any] = {
    "lr": pt.Float(1e-5, 1.0, log=True),
    "layers": pt.Int(2, 12),
    "width": pt.Int(32, 512, log=True, step="power2"),
    "optimizer": pt.Choice(["adamw", "sgd", "lion"]),
    "momentum": pt.Float(0, 0.99, when={"optimizer": "sgd"}),
    "dropout": pt.Float(0, 0.6),
}


def network(number: int) -> Function:
    """A made-up network on data set `number`, with its own best learning rate, depth, dropout and edge of sgd."""
    rng = np.random.default_rng([8, number])
    lr, layers, dropout, edge = -3 + 0.3 * rng.normal(), 6 + rng.normal(), rng.uniform(0.1, 0.3), rng.uniform(0.0, 0.3)
    base, scale = rng.uniform(0, 5), 10 ** rng.uniform(-0.5, 0.5)

    def loss(config: Any) -> float:
        right = {"adamw": 0.0, "sgd": 1.0, "lion": -0.5}[config["optimizer"]]
        value = (math.log10(config["lr"]) - lr - right) ** 2 + 0.05 * (config["layers"] - layers) ** 2
        value += 3 * (config["dropout"] - dropout) ** 2 + 4 * (config["layers"] / config["width"]) ** 0.5
        if config["optimizer"] == "sgd":
            value += 4 * (config["momentum"] - 0.9) ** 2 - edge
        return base + scale * (value + 0.3 * (config["optimizer"] == "lion"))

    return loss


def unrelated(space: dict[str, Any], number: int) -> Function:
    """A random smooth function of a space's cube: sixteen waves, a few over the cube in each direction."""
    rng = np.random.default_rng([9, number])
    known = pt.Space.from_dict(space)
    waves, phases = rng.normal(size=(16, len(known))) * 5 / math.sqrt(len(known)), rng.uniform(0, 2 * math.pi, 16)
    return lambda config: float(np.sin(waves @ known.encode(config) + phases).sum())


FAMILIES = {
    "branin": Family(cube(2), moved(branin, 2, by=0.07)),
    "hartmann6": Family(cube(6), moved(hartmann6, 6, by=0.05)),
    "levy4": Family(cube(4), moved(levy4, 4, by=0.05)),
    "network": Family(NETWORK, network),
}


def search(family: Family, function: Function, *, seed: int, trials: int, warm_start: Any = ()) -> pt.Optimizer:
    made = pt.Optimizer(family.space, GOALS, algorithm="gp", seed=seed, warm_start=warm_start)
    for _ in range(trials):
        suggestion = made.ask()
        made.tell(suggestion, {"loss": function(suggestion.config)})
    return made


@cache
def source(name: str, number: int, kind: str) -> pt.Optimizer:
    """An earlier study of 40 trials, half of them all over the space, half around its best: as searches leave them."""
    family, rng = FAMILIES[name], np.random.default_rng([10, number])
    function = family.task(1000 + number) if kind == "related" else unrelated(family.space, number)
    made = pt.Optimizer(family.space, GOALS, algorithm="sobol", seed=500 + number)
    for _ in range(20):
        suggestion = made.ask()
        made.tell(suggestion, {"loss": function(suggestion.config)})
    for _ in range(20):
        near_d = made.space.encode(made.best().config) + 0.1 * rng.standard_normal(len(made.space))
        config = made.space.decode(np.clip(near_d, 0.0, 1.0))
        made.add(config, {"loss": function(config)})
    return made


def sources(name: str, seed: int, start: str) -> list[pt.Optimizer]:
    if start == "mixed":
        others = [source(name, seed + 100 * i, "unrelated") for i in range(3)]
        return [others[0], source(name, seed, "related"), *others[1:]]
    return [] if start == "cold" else [source(name, seed, start)]


def curve(name: str, seed: int, start: str) -> Array:
    """The best value so far after each trial; shape (TRIALS,). Task and seed go together, so that starts compare."""
    family = FAMILIES[name]
    made = search(family, family.task(seed), seed=seed, trials=TRIALS, warm_start=sources(name, seed, start))
    values = [observation.metrics["loss"] for observation in made.history]
    return np.minimum.accumulate(values)


def trials_to(curves_sn: Array, target: float) -> Array:
    """Trials until a value is reached, one more than there are where it is not; shape (seeds,)."""
    reached_sn = curves_sn <= target
    return np.where(reached_sn.any(axis=1), reached_sn.argmax(axis=1) + 1, curves_sn.shape[1] + 1)


def ratio(cold_sn: Array, warm_sn: Array) -> float:
    """Trials to the targets in the mean over targets and seeds, with earlier studies against without."""
    targets = [float(np.median(cold_sn[:, n - 1])) for n in TARGETS]
    needed = [(trials_to(warm_sn, t).mean(), trials_to(cold_sn, t).mean()) for t in targets]
    return float(sum(warm for warm, _ in needed) / sum(cold for _, cold in needed))


def interval(cold_sn: Array, warm_sn: Array) -> tuple[float, float]:
    """The central 90 % of the ratio over 1,000 draws of the seeds; the targets are drawn with them."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(cold_sn), size=(1000, len(cold_sn)))
    low, high = np.quantile([ratio(cold_sn[draw], warm_sn[draw]) for draw in draws], [0.05, 0.95])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    arguments = parser.parse_args()
    print("family      start       trials to the targets, against a cold start (90 % of bootstraps)")
    for name in arguments.families:
        cold_sn = np.array([curve(name, seed, "cold") for seed in range(arguments.seeds)])
        for start in arguments.starts:
            warm_sn = np.array([curve(name, seed, start) for seed in range(arguments.seeds)])
            low, high = interval(cold_sn, warm_sn)
            print(f"{name:<12}{start:<12}{ratio(cold_sn, warm_sn):.2f} ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main()
