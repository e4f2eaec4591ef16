"""What learning from an earlier study saves, and what an unrelated one costs: trials of `gp` to a target value.

python benchmarks/transfer.py --seeds 10

Each family of tasks is one function with optima, scales and offsets drawn per task, as one model on several data sets.
A search begins with nothing ("cold"), with a study of another task of its family ("related"), with one of a random
smooth function of the same space ("unrelated"), or with one of each and two more unrelated ones ("mixed"). A search is
judged by its regret in units of its family's function, so that tasks compare; targets are the cold searches' medians
after 8, 12, 16 and 20 trials.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import paretune as pt

Array = npt.NDArray[np.float64]
Function = Callable[[Any], float]

TRIALS = 25
TARGETS = (8, 12, 16, 20)
STARTS = ["related", "unrelated", "mixed"]
GOALS = {"loss": "minimize"}


@dataclass(frozen=True)
class Task:
    """A function with its least value, and the unit of its regret."""

    function: Function
    least: float
    unit: float


@dataclass(frozen=True)
class Family:
    """Tasks of one space: a number of the task to the task."""

    space: dict[str, Any]
    task: Callable[[int], Task]


def cube(d: int) -> dict[str, Any]:
    return {f"x{i}": pt.Float(0, 1) for i in range(d)}


def moved(function: Callable[[Array], float], d: int, *, by: float, least: float) -> Callable[[int], Task]:
    """Tasks of a function of the cube: moved by up to `by` in each coordinate, scaled up to tenfold, offset."""

    def task(number: int) -> Task:
        rng = np.random.default_rng([7, number])
        shift_d, scale, offset = rng.uniform(-by, by, d), 10 ** rng.uniform(-0.5, 0.5), rng.normal()

        def value(config: Any) -> float:
            return float(offset + scale * function(np.array(list(config.values())) + shift_d))

        return Task(value, least=offset + scale * least, unit=scale)

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


def network(number: int) -> Task:
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
        return float(base + scale * (value + 0.3 * (config["optimizer"] == "lion")))

    best = {"lr": 10 ** (lr + 1), "width": 512, "optimizer": "sgd", "momentum": 0.9, "dropout": dropout}
    return Task(loss, least=min(loss({**best, "layers": count}) for count in range(2, 13)), unit=scale)


def unrelated(space: dict[str, Any], number: int) -> Function:
    """A random smooth function of a space's cube: sixteen waves, a few over the cube in each direction."""
    rng = np.random.default_rng([9, number])
    known = pt.Space.from_dict(space)
    waves, phases = rng.normal(size=(16, len(known))) * 5 / math.sqrt(len(known)), rng.uniform(0, 2 * math.pi, 16)
    return lambda config: float(np.sin(waves @ known.encode(config) + phases).sum())


FAMILIES = {
    "branin": Family(cube(2), moved(branin, 2, by=0.07, least=0.39788735772973816)),
    "hartmann6": Family(cube(6), moved(hartmann6, 6, by=0.05, least=-3.322368011415515)),
    "levy4": Family(cube(4), moved(levy4, 4, by=0.05, least=0.0)),
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
    function = family.task(1000 + number).function if kind == "related" else unrelated(family.space, number)
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
    """The least regret so far after each trial; shape (TRIALS,). Task and seed go together, so that starts compare."""
    family = FAMILIES[name]
    task = family.task(seed)
    made = search(family, task.function, seed=seed, trials=TRIALS, warm_start=sources(name, seed, start))
    values = np.array([observation.metrics["loss"] for observation in made.history])
    return np.asarray((np.minimum.accumulate(values) - task.least) / task.unit)


def trials_to(curves_sn: Array, target: float) -> Array:
    """Trials until a regret is reached, one more than there are where it is not; shape (seeds,)."""
    reached_sn = curves_sn <= target
    return np.asarray(np.where(reached_sn.any(axis=1), reached_sn.argmax(axis=1) + 1, curves_sn.shape[1] + 1))


def ratio(cold_sn: Array, warm_sn: Array) -> float:
    """Trials to the targets in the mean over targets and seeds, with earlier studies against without."""
    targets = [float(np.median(cold_sn[:, n - 1])) for n in TARGETS]
    needed = [(trials_to(warm_sn, t).mean(), trials_to(cold_sn, t).mean()) for t in targets]
    return float(sum(warm for warm, _ in needed) / sum(cold for _, cold in needed))


def summary(pairs: Sequence[tuple[Array, Array]]) -> str:
    """The mean ratio of families' (cold, warm) curves, and the central 90 % over 1,000 draws of each one's seeds.

    The targets are drawn with the seeds.
    """
    rng = np.random.default_rng(0)

    def drawn() -> float:
        draws = [rng.integers(len(cold_sn), size=len(cold_sn)) for cold_sn, _ in pairs]
        return mean_ratio([(cold[draw], warm[draw]) for (cold, warm), draw in zip(pairs, draws, strict=True)])

    low, high = np.quantile([drawn() for _ in range(1000)], [0.05, 0.95])
    return f"{mean_ratio(pairs):.2f} ({low:.2f} to {high:.2f})"


def mean_ratio(pairs: Sequence[tuple[Array, Array]]) -> float:
    return float(np.mean([ratio(cold_sn, warm_sn) for cold_sn, warm_sn in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    arguments = parser.parse_args()
    print("family      start       trials to the targets, against a cold start (90 % of bootstraps)")
    pairs: dict[str, list[tuple[Array, Array]]] = {start: [] for start in arguments.starts}
    for name in arguments.families:
        cold_sn = np.array([curve(name, seed, "cold") for seed in range(arguments.seeds)])
        for start in arguments.starts:
            warm_sn = np.array([curve(name, seed, start) for seed in range(arguments.seeds)])
            pairs[start].append((cold_sn, warm_sn))
            print(f"{name:<12}{start:<12}{summary(pairs[start][-1:])}", flush=True)
    for start, found in pairs.items():
        print(f"{'mean':<12}{start:<12}{summary(found)}")


if __name__ == "__main__":
    main()
