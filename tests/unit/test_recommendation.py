"""The trial to use: the luckiest value where there is no noise, the best mean where there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, wilcoxon

import paretune as pt
from paretune.recommendation import Recommendation

LINE = {"x": pt.Float(0, 1)}


def told(values: list[tuple[float, float]], goal: str = "minimize") -> pt.Optimizer:
    opt = pt.Optimizer(LINE, {"error": goal}, algorithm="random")
    for x, value in values:
        opt.add({"x": x}, {"error": value})
    return opt


def noisy_bowl(seed: int, *, noise: float, n: int = 40) -> tuple[list[float], list[tuple[float, float]]]:
    """The true values of n configurations, half of them near the best as a search would have it; and what was seen."""
    rng = np.random.default_rng(seed)
    places = np.concatenate([rng.random(n - n // 2), rng.normal(0.4, 0.12, n // 2).clip(0, 1)])
    true = 4 * (places - 0.4) ** 2
    return true.tolist(), list(zip(places.tolist(), (true + noise * rng.normal(size=n)).tolist(), strict=True))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(5, 25), st.sampled_from(["minimize", "maximize"]))
def test_without_noise_the_best_seen_is_the_best(seed: int, n: int, goal: str) -> None:
    _, values = noisy_bowl(seed, noise=0.0, n=n)
    sign = 1 if goal == "minimize" else -1
    found = told([(x, sign * value) for x, value in values], goal).recommendation()
    assert found.trial.id == int(np.argmin([value for _, value in values]))
    assert found.low is not None
    assert found.high is not None
    assert not found.noisy
    assert found.low <= found.expected == found.trial.metrics["error"] <= found.high


def test_with_noise_the_mean_is_better_than_luck() -> None:
    gained, held = [], 0
    for seed in range(40):
        true, values = noisy_bowl(seed, noise=0.4)
        found = told(values).recommendation()
        lucky = int(np.argmin([value for _, value in values]))
        assert found.noisy
        gained.append(true[lucky] - true[found.trial.id])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true[found.trial.id] <= found.high
    assert wilcoxon(gained, alternative="greater").pvalue < 0.01
    assert binomtest(held, 40, 0.9, alternative="less").pvalue > 0.01, "the interval holds what it says"


def test_replicates_are_pooled() -> None:
    """One of three trials at 0.5 was lucky; on average 0.2 is better."""
    opt = told([(0.5, 0.0), (0.5, 1.0), (0.5, 1.1), (0.2, 0.4), (0.8, 2.0)])
    found = opt.recommendation()
    assert found == Recommendation(opt.log.trials[3], "error", 0.4, None, None, 1, noisy=False)
    assert opt.best() is opt.log.trials[3]
    for _ in range(6):
        opt.add({"x": 0.2}, {"error": 0.4})
    assert (opt.recommendation().trial.id, opt.recommendation().tries) == (3, 7)


def test_a_model_pools_replicates_too() -> None:
    rng = np.random.default_rng(0)
    values = [(x, 4 * (x - 0.4) ** 2 + 0.5 * rng.normal()) for x in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0) for _ in range(8)]
    found = told([*values, (0.9, -0.5)]).recommendation()  # far better than all, once
    assert found.trial.config["x"] in (0.2, 0.4, 0.6)
    assert found.tries == 8


def test_what_is_beyond_a_limit_is_not_recommended_but_learnt_from() -> None:
    opt = pt.Optimizer(LINE, {"error": "minimize"}, limits={"size": {"max": 1}}, algorithm="random")
    for i in range(8):
        opt.add({"x": i / 8}, {"error": i / 8, "size": 2.0 if i < 3 else 0.5})
    assert opt.best().config == {"x": 0.375}


def test_each_objective_has_its_own() -> None:
    opt = pt.Optimizer(LINE, {"error": "minimize", "speed": "maximize"}, algorithm="random")
    for i in range(6):
        opt.add({"x": i / 5}, {"error": i / 5, "speed": i / 5})
    assert [opt.recommendation(name).trial.id for name in ("error", "speed")] == [0, 5]
    with pytest.raises(pt.errors.ObjectiveError, match="must name one of 2 objectives"):
        opt.recommendation()


def test_it_is_told_in_a_line() -> None:
    found = told([(i / 10, i / 10) for i in range(8)]).recommendation()
    assert found.low is not None
    assert found.high is not None
    assert repr(found) == f"Recommendation(trial 0: error 0, {found.low:.4g} to {found.high:.4g}, 1 try)"
    assert repr(told([(0.5, 1.0)] * 2).recommendation()) == "Recommendation(trial 0: error 1, 2 tries)"


def test_asking_again_costs_nothing() -> None:
    from paretune.algorithms._gp.hindsight import _hindsight

    opt = told([(i / 10, i / 10) for i in range(8)])
    opt.recommendation()
    before = _hindsight.cache_info().misses
    assert opt.best().id == 0
    assert _hindsight.cache_info().misses == before


def test_equal_values_leave_the_first() -> None:
    assert told([(i / 10, 1.0) for i in range(8)]).best().id == 0
