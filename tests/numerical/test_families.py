"""The other families: CMA-ES against its theory, and each against random search by one-sided rank tests over seeds."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu

import paretune as pt
from paretune.algorithms._cmaes.state import State, advance, weights
from paretune.pareto import hypervolume

Array = np.ndarray
PLANE = {"x": pt.Float(0, 1), "y": pt.Float(0, 1)}
FOUR = {name: pt.Float(0, 1) for name in "abcd"}
TREE = {
    "lr": pt.Float(1e-5, 1.0, log=True),
    "layers": pt.Int(2, 12),
    "optimizer": pt.Choice(["adamw", "sgd", "lion"]),
    "momentum": pt.Float(0, 0.99, when={"optimizer": "sgd"}),
    "beta": pt.Float(0, 0.99, when={"optimizer": ["adamw", "lion"]}),
}


def branin(config: Any) -> float:
    """Dixon and Szego (1978); its least value is 0.3979."""
    x, y = 15 * config["x"] - 5, 15 * config["y"]
    ridge = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return ridge + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def ellipsoid(config: Any) -> float:
    """Each axis ten times as steep as the one before, the least value 0 at .3, .4, .5, .6."""
    return sum(10**i * (config[name] - 0.3 - 0.1 * i) ** 2 for i, name in enumerate("abcd"))


def network(config: Any) -> float:
    loss = (math.log10(config["lr"]) + 3) ** 2 + 0.1 * (config["layers"] - 6) ** 2
    return loss + (4 * (config["momentum"] - 0.9) ** 2 if config["optimizer"] == "sgd" else 0.5 + config["beta"])


SPACES: dict[Any, Any] = {branin: PLANE, ellipsoid: FOUR, network: TREE}


def search(algorithm: str, seed: int, function: Any, space: Any, *, trials: int, pending: int = 1) -> pt.Optimizer:
    opt = pt.Optimizer(space, {"value": "minimize"}, algorithm=algorithm, seed=seed)
    out = opt.ask(n=pending)
    for _ in range(trials - pending):
        opt.tell(out[0], {"value": function(out[0].config)})
        out = [*out[1:], opt.ask()]
    for suggestion in out:
        opt.tell(suggestion, {"value": function(suggestion.config)})
    return opt


@cache
def by_chance(function: Any, trials: int) -> list[float]:
    """The least value of each of 40 random searches."""
    rng, space = np.random.default_rng(0), pt.Space(SPACES[function])
    return [min(function(space.decode(rng.random(len(space)))) for _ in range(trials)) for _ in range(40)]


def least(opt: pt.Optimizer) -> float:
    """The best value seen: there is no noise, so no model has to be asked for it."""
    return min(seen.metrics["value"] for seen in opt.history if seen.status == "completed")


def p_value(of_one: list[float], of_random: list[float]) -> float:
    """That the first come out less than the second."""
    return float(mannwhitneyu(of_one, of_random, alternative="less").pvalue)


@pytest.mark.parametrize(("algorithm", "trials"), [("tpe", 96), ("cmaes", 128), ("evolution", 128)])
@pytest.mark.parametrize("function", SPACES)
def test_one_objective(algorithm: str, trials: int, function: Any) -> None:
    found = [least(search(algorithm, seed, function, SPACES[function], trials=trials, pending=4)) for seed in range(6)]
    assert p_value(found, by_chance(function, trials)) < 0.01


@pytest.mark.parametrize("algorithm", ["tpe", "evolution"])
def test_two_objectives(algorithm: str) -> None:
    """ZDT1 (Zitzler, Deb and Thiele, 2000) with four parameters."""

    def shortfall(name: str, seed: int) -> float:
        opt = pt.Optimizer(FOUR, {"first": "minimize", "second": "minimize"}, algorithm=name, seed=seed)
        for _ in range(80):
            s = opt.ask()
            g = 1 + 3 * (s.config["b"] + s.config["c"] + s.config["d"])
            opt.tell(s, {"first": s.config["a"], "second": g * (1 - math.sqrt(s.config["a"] / g))})
        Y_nm = np.array([[trial.metrics["first"], trial.metrics["second"]] for trial in opt.front()])
        return -hypervolume(Y_nm, np.array([1.1, 6.0]))

    found, chance = [shortfall(algorithm, s) for s in range(4)], [shortfall("random", s) for s in range(20)]
    assert p_value(found, chance) < 0.01


@pytest.mark.parametrize("algorithm", ["tpe", "cmaes", "evolution"])
def test_a_region_where_trials_diverge_is_left(algorithm: str) -> None:
    """The right quarter of the plane diverges, and with it one of three optima; chance would lose a quarter."""

    def cut(config: Any) -> float:
        return math.nan if config["x"] > 0.75 else branin(config)

    endings: list[str] = []
    for seed in range(4):
        endings += [o.status for o in search(algorithm, seed, cut, PLANE, trials=56).history[16:]]
    assert binomtest(endings.count("diverged"), len(endings), 0.25, alternative="less").pvalue < 0.01


@pytest.mark.parametrize("algorithm", ["tpe", "cmaes", "evolution"])
def test_a_limit_is_kept_more_often_than_by_chance(algorithm: str) -> None:
    """The value falls with x, the limit allows only x <= .3: searching for the value alone would break it always."""
    kept = 0
    for seed in range(4):
        opt = pt.Optimizer(PLANE, {"cost": {"goal": "minimize", "limit": 0.3}}, algorithm=algorithm, seed=seed)
        for trial in range(56):
            s = opt.ask()
            cost = abs(s.config["x"] - 0.9) + 0.3 * s.config["y"]
            opt.tell(s, {"cost": cost})
            kept += trial >= 16 and cost <= 0.3
    assert binomtest(kept, 160, 0.3, alternative="greater").pvalue < 0.01


# -- CMA-ES's own update -----------------------------------------------------------------------------------------------


def generations(function: Any, state: State, count: int, *, size: int, seed: int) -> State:
    """So many generations without walls."""
    rng = np.random.default_rng(seed)
    w_k, ones_d = weights(size), np.ones(len(state.mean_d))
    for _ in range(count):
        root_dd, _ = state.root()
        y_kd = rng.standard_normal((size, len(ones_d))) @ root_dd
        values_k = [function(state.mean_d + state.sigma * y_d) for y_d in y_kd]
        state = advance(state, y_kd[np.argsort(values_k)[: len(w_k)]], w_k, spread_d=ones_d)
    return state


def test_weights_by_hand() -> None:
    """Six trials, three parents: ln 3.5 - ln i, over their sum."""
    raw = np.array([math.log(3.5), math.log(3.5 / 2), math.log(3.5 / 3)])
    assert weights(6) == pytest.approx(raw / raw.sum())


def test_one_step_by_hand() -> None:
    """One coordinate, one parent that took a step of +1: mean + sigma; both paths and C follow from the constants."""
    start = State.start(np.array([0.4]), 0.1)
    after = advance(start, np.array([[1.0]]), np.array([1.0]), spread_d=np.ones(1))
    c_sigma = 3 / 7
    path = math.sqrt(c_sigma * (2 - c_sigma))
    usual = 1 - 1 / 4 + 1 / 21
    c_c, c_1 = 5 / 7, 2 / (2.3**2 + 1)
    assert after.mean_d == pytest.approx([0.5])
    assert after.path_sigma_d == pytest.approx([path])
    assert after.path_c_d == pytest.approx([math.sqrt(c_c * (2 - c_c))])
    assert after.C_dd == pytest.approx(np.array([[1 - c_1 + c_1 * c_c * (2 - c_c)]]))
    assert after.sigma == pytest.approx(0.1 * math.exp(c_sigma / (1 + c_sigma) * (path / usual - 1)))


def test_a_step_from_far_away_is_shortened() -> None:
    start = State.start(np.array([0.1, 0.1]), 0.01)
    after = advance(start, np.array([[50.0, 0.0]]), np.array([1.0]), spread_d=np.ones(2))
    assert after.mean_d == pytest.approx([0.1 + 0.01 * (math.sqrt(2) + 1), 0.1])


def test_the_valleys_shape_is_learnt_and_convergence_is_linear() -> None:
    """C tends to the inverse Hessian up to a factor, and the distance to the optimum falls exponentially."""
    turn_dd = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    hessian_dd = turn_dd @ np.diag([1.0, 100.0]) @ turn_dd.T
    best_d = np.array([0.45, 0.55])

    def valley(x_d: Array) -> float:
        return float((x_d - best_d) @ hessian_dd @ (x_d - best_d))

    shapes, gaps = [], []
    for seed in range(4):
        state = generations(valley, State.start(np.array([0.3, 0.8]), 0.1), 60, size=8, seed=seed)
        shape_dd = state.C_dd @ hessian_dd
        shapes.append(np.linalg.cond(shape_dd))
        gaps.append(valley(state.mean_d))
    assert np.median(shapes) < 10, "the Hessian's own condition number is 100"
    assert max(gaps) < 1e-8 * valley(np.array([0.3, 0.8]))


def test_on_a_slope_the_steps_grow() -> None:
    state = State.start(np.full(5, 0.5), 1e-4)
    assert generations(lambda x_d: float(x_d.sum()), state, 12, size=8, seed=0).sigma > 5e-4
