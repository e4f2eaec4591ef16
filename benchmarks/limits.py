"""How many trials break a limit, with the limit made known to the search and without.

python benchmarks/limits.py --seeds 10 --trials 40

One row per problem: the share of trials beyond a limit with and without it, over all seeds and all trials (the
space-filling start included), and the best value within the limits that each found, as mean over seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import paretune as pt

Metrics = dict[str, float]


@dataclass(frozen=True)
class Constrained:
    """Minimise `value` over the unit cube within limits on other metrics; `worst` stands in where nothing is within."""

    dimensions: int
    evaluate: Callable[[np.ndarray], Metrics]
    limits: Mapping[str, Mapping[str, float]]
    worst: float

    @property
    def space(self) -> dict[str, Any]:
        return {f"x{i}": pt.Float(0, 1) for i in range(self.dimensions)}


def gramacy(x_d: np.ndarray) -> Metrics:
    """Gramacy et al. (2016), section 4: a linear objective, two limits, 0.5998 at best."""
    a, b = x_d
    wave = 1.5 - a - 2 * b - 0.5 * math.sin(2 * math.pi * (a**2 - 2 * b))
    return {"value": a + b, "wave": wave, "disc": a**2 + b**2}


def branin(x_d: np.ndarray) -> Metrics:
    """Dixon and Szego (1978), two of whose three optima are too far to the right."""
    a, b = 15 * x_d[0] - 5, 15 * x_d[1]
    ridge = (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2
    return {"value": ridge + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10, "size": x_d[0] ** 2 + x_d[0] * x_d[1]}


def network(x_d: np.ndarray) -> Metrics:
    """A model that gets better with width and depth, which cost time and memory; the rate and the decay have a best."""
    width, depth, rate, decay = 32 * 16 ** x_d[0], 1 + 11 * x_d[1], 4 * x_d[2] - 2.6, x_d[3]
    error = 0.02 + 0.5 * (width * depth) ** -0.35 + 0.03 * rate**2 + 0.02 * (decay - 0.3) ** 2
    return {"value": error, "latency_ms": 0.004 * width * depth, "memory_gb": 0.1 + width**1.2 * depth / 4000}


PROBLEMS = {
    "gramacy": Constrained(2, gramacy, {"wave": {"max": 0.0}, "disc": {"max": 1.5}}, 2.0),
    "branin": Constrained(2, branin, {"size": {"max": 0.3}}, 300.0),
    "network": Constrained(4, network, {"latency_ms": {"max": 5.0}, "memory_gb": {"max": 2.0}}, 1.0),
}


def search(problem: Constrained, seed: int, *, trials: int, limited: bool) -> tuple[float, float]:
    """The share of trials beyond a limit, and the best value within them."""
    opt = pt.Optimizer(problem.space, {"value": "minimize"}, limits=problem.limits if limited else None, seed=seed)
    judge = pt.Optimizer(problem.space, {"value": "minimize"}, limits=problem.limits).objectives
    beyond, best = 0, problem.worst
    for _ in range(trials):
        suggestion = opt.ask()
        metrics = problem.evaluate(np.array([suggestion.config[name] for name in problem.space], dtype=float))
        opt.tell(suggestion, metrics)
        if judge.feasible(metrics):
            best = min(best, metrics["value"])
        else:
            beyond += 1
    return beyond / trials, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    chosen = parser.parse_args()
    print(f"{'problem':10} {'beyond, limited':>16} {'unlimited':>10} {'best, limited':>14} {'unlimited':>10}")
    for name in chosen.problems:
        runs = [
            [search(PROBLEMS[name], seed, trials=chosen.trials, limited=limited) for seed in range(chosen.seeds)]
            for limited in (True, False)
        ]
        (share, best), (share_without, best_without) = (np.mean(part, axis=0) for part in runs)
        print(f"{name:10} {share:16.3f} {share_without:10.3f} {best:14.4f} {best_without:10.4f}", flush=True)


if __name__ == "__main__":
    main()
