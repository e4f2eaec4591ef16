"""What it is worth to tell the search how exact each result is: regret with known standard errors, and without them.

python benchmarks/standard_errors.py --seeds 8 --trials 40

One row per problem: how far the true value of the recommended configuration is from the best one there is, with the
standard errors reported and without, as mean over seeds; the difference with its 90 % bootstrap interval over seeds
(negative where they help), and in how many seeds each of the two came out better. Both see the same noise.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import paretune as pt

_RESAMPLES = 4000


@dataclass(frozen=True)
class Noisy:
    """Minimise `mean` over the unit cube from results with the standard deviations `sd`; `best` is its least value.

    `sd` also takes a number drawn evenly from [0, 1] for each trial.
    """

    dimensions: int
    mean: Callable[[np.ndarray], float]
    sd: Callable[[np.ndarray, float], float]
    best: float

    @property
    def space(self) -> dict[str, Any]:
        return {f"x{i}": pt.Float(0, 1) for i in range(self.dimensions)}


def branin(x_d: np.ndarray) -> float:
    """Dixon and Szego (1978): three optima of one value, from 0.4 to 308."""
    a, b = 15 * x_d[0] - 5, 15 * x_d[1]
    ridge = (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2
    return float(ridge + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


def hartmann3(x_d: np.ndarray) -> float:
    """Dixon and Szego (1978): four optima, from -3.86 to 0."""
    A_kd = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
    P_kd = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
    return float(-np.exp(-(A_kd * (x_d - P_kd) ** 2).sum(1)) @ [1.0, 1.2, 3.0, 3.2])


def network(x_d: np.ndarray) -> float:
    """The error of a model by its width, depth, learning rate and decay: 0.0339 at the largest one."""
    width, depth, rate, decay = 32 * 16 ** x_d[0], 1 + 11 * x_d[1], 4 * x_d[2] - 2.6, x_d[3]
    return float(0.02 + 0.5 * (width * depth) ** -0.35 + 0.03 * rate**2 + 0.02 * (decay - 0.3) ** 2)


PROBLEMS = {
    "branin, by place": Noisy(2, branin, lambda x_d, u: 2 * 20 ** x_d[0], 0.39789),  # from 2 at the left to 40
    "hartmann3, by trial": Noisy(3, hartmann3, lambda x_d, u: 0.03 * 50**u, -3.86278),  # from .03 to 1.5: folds
    "network, by place": Noisy(4, network, lambda x_d, u: 0.002 * 40 ** x_d[1], 0.02 + 0.5 * 6144**-0.35),
}


def search(problem: Noisy, seed: int, *, trials: int, told: bool) -> float:
    """The regret of the recommended configuration."""
    aim = {"goal": "minimize", "standard_error": "value_se"} if told else "minimize"
    opt = pt.Optimizer(problem.space, {"value": aim}, seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        suggestion = opt.ask()
        x_d = np.array(list(suggestion.config.values()), dtype=float)
        sd = problem.sd(x_d, rng.random())
        opt.tell(suggestion, {"value": problem.mean(x_d) + sd * rng.standard_normal(), "value_se": sd})
    return problem.mean(np.array(list(opt.best().config.values()), dtype=float)) - problem.best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    chosen = parser.parse_args()
    print(f"{'problem':20} {'with':>8} {'without':>8} {'difference':>11} {'90 % interval':>20} {'better':>7}")
    rng = np.random.default_rng(0)
    for name in chosen.problems:
        regret_s2 = np.array(
            [
                [search(PROBLEMS[name], seed, trials=chosen.trials, told=told) for told in (True, False)]
                for seed in range(chosen.seeds)
            ]
        )
        gap_s = regret_s2[:, 0] - regret_s2[:, 1]
        low, high = np.quantile(rng.choice(gap_s, (_RESAMPLES, len(gap_s))).mean(1), [0.05, 0.95])
        (told, untold), better = regret_s2.mean(0), f"{(gap_s < 0).sum()}:{(gap_s > 0).sum()}"
        print(
            f"{name:20} {told:8.4f} {untold:8.4f} {gap_s.mean():11.4f} {f'{low:.4f} to {high:.4f}':>20} {better:>7}",
            flush=True,
        )


if __name__ == "__main__":
    main()
