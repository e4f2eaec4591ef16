"""What beliefs are worth: a right one saves trials, a wrong one is outgrown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

import paretune as pt

RIGHT = {"lr": -2.4, "decay": -4.2, "momentum": 0.9}
WRONG = {"lr": -4.6, "decay": -1.5, "momentum": 0.2}
TRIALS = 24


def loss(config: Any) -> float:
    """Least, zero, at lr 10^-2.6, decay 1e-4, momentum 0.85."""
    lr, decay = math.log10(config["lr"]) + 2.6, math.log10(config["decay"]) + 4
    return lr**2 + 0.3 * decay**2 + 2 * (config["momentum"] - 0.85) ** 2


def space(beliefs: dict[str, float] | None) -> dict[str, pt.Float]:
    def prior(name: str, sd: float) -> Any:
        if beliefs is None:
            return None
        return pt.Normal(mean=beliefs[name], sd=sd) if name == "momentum" else pt.Normal(log10=beliefs[name], sd=sd)

    return {
        "lr": pt.Float(1e-5, 1, log=True, prior=prior("lr", 0.5)),
        "decay": pt.Float(1e-6, 1, log=True, prior=prior("decay", 0.5)),
        "momentum": pt.Float(0, 1, prior=prior("momentum", 0.1)),
    }


def search(beliefs: dict[str, float] | None, algorithm: str, seed: int, *, target: float = 0.0) -> tuple[int, float]:
    """How many trials it took to the target (TRIALS + 1 if it was missed), and the least loss."""
    opt = pt.Optimizer(space(beliefs), {"loss": "minimize"}, algorithm=algorithm, seed=seed)
    for number in range(1, TRIALS + 1):
        suggestion = opt.ask()
        value = loss(suggestion.config)
        opt.tell(suggestion, {"loss": value})
        if value <= target:
            return number, value
    return TRIALS + 1, min(seen.metrics["loss"] for seen in opt.history)


@pytest.mark.parametrize(("algorithm", "target", "seeds", "times"), [("gp", 0.05, 6, 1.5), ("random", 0.3, 60, 2)])
def test_a_right_belief_saves_trials(algorithm: str, target: float, seeds: int, times: float) -> None:
    with_it = [times * search(RIGHT, algorithm, seed, target=target)[0] for seed in range(seeds)]
    without = [search(None, algorithm, seed, target=target)[0] for seed in range(seeds)]
    assert mannwhitneyu(with_it, without, alternative="less").pvalue < 0.05


@pytest.mark.slow
def test_a_wrong_belief_costs_little_by_the_end() -> None:
    """Two decades off, at four to six standard deviations: still less than a tenth of what chance leaves."""
    wrong = [search(WRONG, "gp", seed)[1] for seed in range(8)]
    chance = [search(None, "random", seed)[1] for seed in range(60)]
    assert mannwhitneyu(wrong, chance, alternative="less").pvalue < 0.01
    assert np.median(wrong) < 0.1 * np.median(chance)
