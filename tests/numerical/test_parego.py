"""Many objectives as one."""

from __future__ import annotations

import numpy as np
import pytest

import paretune as pt
from paretune.algorithms._gp.parego import MOST, chebyshev, draw_weights
from paretune.pareto import hypervolume

CENTERS = np.random.default_rng(5).random((MOST + 1, 3))


def test_by_hand() -> None:
    Y_nm = np.array([[0.0, 30.0], [1.0, 10.0], [2.0, 20.0]])
    # from 0 to 1 per objective: (0, 1), (0.5, 0), (1, 0.5)
    assert chebyshev(Y_nm, np.array([0.5, 0.5])) == pytest.approx([0.5 + 0.025, 0.25 + 0.0125, 0.5 + 0.0375])
    assert chebyshev(Y_nm, np.array([0.2, 0.8])) == pytest.approx([0.8 + 0.04, 0.1 + 0.005, 0.4 + 0.03])


def test_what_is_dominated_is_never_the_best() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        Y_nm = rng.random((8, 6))
        Y_nm[0] = Y_nm[1] + rng.choice([0.0, 0.3], size=6)  # no better than the second by any objective
        scalar_n = chebyshev(Y_nm, draw_weights(6, rng))
        assert scalar_n[0] >= scalar_n[1]


def test_objectives_that_never_differ_are_left_out() -> None:
    Y_nm = np.column_stack([np.ones(4), np.arange(4.0)])
    assert chebyshev(Y_nm, np.array([0.5, 0.5])) == pytest.approx(0.525 * np.arange(4) / 3)


def volume(algorithm: str, seed: int) -> float:
    """What 24 trials dominate of squared distances to five centers."""
    names = [f"f{j}" for j in range(len(CENTERS))]
    opt = pt.Optimizer(
        {k: pt.Float(0, 1) for k in "abc"}, dict.fromkeys(names, "minimize"), algorithm=algorithm, seed=seed
    )
    Y = []
    for _ in range(24):
        suggestion = opt.ask()
        x = np.array([suggestion.config[k] for k in "abc"], dtype=float)
        Y.append(((x - CENTERS) ** 2).sum(1))
        opt.tell(suggestion, dict(zip(names, Y[-1].tolist(), strict=True)))
    return hypervolume(np.array(Y), np.full(len(CENTERS), 0.8))


def test_it_finds_more_of_a_front_of_five_objectives_than_chance() -> None:
    ours = [volume("gp", seed) for seed in range(5)]
    chance = [volume("random", seed) for seed in range(20)]
    assert min(ours) > np.mean(chance)
    assert np.mean(ours) > max(chance)
