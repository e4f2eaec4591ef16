"""That model-based search is worth its price: one-sided rank tests over seeds, not thresholds on one run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu

import paretune as pt
from paretune.pareto import hypervolume

Metrics = dict[str, float]


def branin(config: Any) -> Metrics:
    """Dixon and Szego (1978); its least value is 0.3979."""
    x, y = 15 * config["x"] - 5, 15 * config["y"]
    ridge = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return {"value": ridge + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10}


def zdt1(config: Any) -> Metrics:
    """Zitzler, Deb and Thiele (2000), with three parameters."""
    g = 1 + 9 * (config["y"] + config["z"]) / 2
    return {"first": config["x"], "second": g * (1 - math.sqrt(config["x"] / g))}


def network(config: Any) -> Metrics:
    """A mixed conditional space: the best optimizer needs its own parameter set right; wide lr values diverge."""
    loss = (math.log10(config["lr"]) + 3) ** 2 + 0.1 * (config["layers"] - 6) ** 2
    loss += 4 * (config["momentum"] - 0.9) ** 2 if config["optimizer"] == "sgd" else 0.5
    return {"value": math.nan if config["lr"] > 3e-2 else loss}


PLANE = {"x": pt.Float(0, 1), "y": pt.Float(0, 1)}
NETWORK = {
    "lr": pt.Float(1e-5, 1.0, log=True),
    "layers": pt.Int(2, 12),
    "optimizer": pt.Choice(["adamw", "sgd"]),
    "momentum": pt.Float(0, 0.99, when={"optimizer": "sgd"}),
}


def search(
    algorithm: str, seed: int, function: Callable[[Any], Metrics], space: Any, *, goals: Any, trials: int
) -> pt.Optimizer:
    opt = pt.Optimizer(space, goals, algorithm=algorithm, seed=seed)
    for _ in range(trials):
        suggestion = opt.ask()
        opt.tell(suggestion, function(suggestion.config))
    return opt


def least(opt: pt.Optimizer) -> float:
    """The best value seen: there is no noise, so no model has to be asked for it."""
    return min(seen.metrics["value"] for seen in opt.history if seen.status == "completed")


def p_value(of_gp: list[float], of_random: list[float]) -> float:
    """That the first come out less than the second."""
    return float(mannwhitneyu(of_gp, of_random, alternative="less").pvalue)


@pytest.mark.parametrize(("function", "space"), [(branin, PLANE), (network, NETWORK)], ids=["branin", "network"])
def test_one_objective(function: Callable[[Any], Metrics], space: Any) -> None:
    goals = {"value": "minimize"}
    gp = [least(search("gp", seed, function, space, goals=goals, trials=18)) for seed in range(5)]
    chance = [least(search("random", seed, function, space, goals=goals, trials=18)) for seed in range(60)]
    assert p_value(gp, chance) < 0.01


def test_two_objectives() -> None:
    goals, space = {"first": "minimize", "second": "minimize"}, {**PLANE, "z": pt.Float(0, 1)}

    def shortfall(algorithm: str, seed: int) -> float:
        opt = search(algorithm, seed, zdt1, space, goals=goals, trials=16)
        Y_nm = np.array([[trial.metrics["first"], trial.metrics["second"]] for trial in opt.front()])
        return -hypervolume(Y_nm, np.array([1.1, 6.0]))

    gp = [shortfall("gp", seed) for seed in range(3)]
    chance = [shortfall("random", seed) for seed in range(60)]
    assert p_value(gp, chance) < 0.01


def test_a_region_where_trials_diverge_is_left() -> None:
    """The right quarter of the plane diverges, and with it one of three optima; chance would lose a quarter."""

    def cut(config: Any) -> Metrics:
        return {"value": math.nan} if config["x"] > 0.75 else branin(config)

    endings: list[str] = []
    for seed in range(4):
        opt = search("gp", seed, cut, PLANE, goals={"value": "minimize"}, trials=24)
        endings += [observation.status for observation in opt.history[5:]]
    assert binomtest(endings.count("diverged"), len(endings), 0.25, alternative="less").pvalue < 0.01
    assert endings.count("completed") + endings.count("diverged") == len(endings) == 76


@pytest.mark.slow
@pytest.mark.parametrize("pending", [1, 4])
def test_parallel_search_still_beats_chance(pending: int) -> None:
    def run(algorithm: str, seed: int) -> float:
        opt = pt.Optimizer(PLANE, {"value": "minimize"}, algorithm=algorithm, seed=seed)
        out = opt.ask(n=pending)
        for _ in range(24 - pending):
            opt.tell(out[0], branin(out[0].config))
            out = [*out[1:], opt.ask()]
        for suggestion in out:
            opt.tell(suggestion, branin(suggestion.config))
        return least(opt)

    assert p_value([run("gp", s) for s in range(8)], [run("random", s) for s in range(60)]) < 0.01
