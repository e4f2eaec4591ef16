"""Acquisition values against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from paretune.algorithms._gp.acquire import Acquisition
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.pareto import hypervolume

GRID = np.linspace(0, 1, 8)[:, None]
TEST = np.array([[0.07], [0.31], [0.64], [0.93]])
NONE = np.empty((0, 1))


def values(surrogate: Surrogate, points: np.ndarray = TEST, **changed: object) -> np.ndarray:
    m = len(surrogate.scale.spread_m)
    settings = {
        "leaders_bf": GRID,
        "pending_pf": NONE,
        "reference_m": np.full(m, 3.0),
        "limits_o": np.full(m, np.inf),
        "feasibility": None,
        "seed": 0,
    }
    with reproducible(0), torch.no_grad():
        return Acquisition(surrogate, **{**settings, **changed})(torch.from_numpy(points)).numpy()  # type: ignore[arg-type]


def test_one_objective_almost_without_noise_is_log_expected_improvement() -> None:
    surrogate = fit(GRID, np.sin(7 * GRID), dimensions=1)
    mean_tm, sd_tm = surrogate.predict(TEST)
    best = surrogate.predict(GRID)[0].min()
    z = (best - mean_tm[:, 0]) / sd_tm[:, 0]
    expected = sd_tm[:, 0] * (z * norm.cdf(z) + norm.pdf(z)) / surrogate.scale.own_units_m()[0]
    assert np.exp(values(surrogate)) == pytest.approx(expected, rel=0.05, abs=2e-3)
    assert np.argmax(values(surrogate)) == np.argmax(expected)


def test_two_objectives_are_the_expected_growth_of_the_dominated_volume() -> None:
    """Against 4,096 plain draws from the predictions, each judged by the hypervolume indicator."""
    Y_nm = np.hstack([np.sin(7 * GRID), np.cos(7 * GRID)])
    surrogate = fit(GRID, Y_nm, dimensions=1)
    mean_tm, sd_tm = surrogate.predict(TEST)
    front_nm, reference_m = surrogate.scale.apply(surrogate.predict(GRID)[0]), np.array([3.0, 3.0])
    draws = np.random.default_rng(0).standard_normal((4096, 1, 2))
    samples = surrogate.scale.apply(mean_tm + sd_tm * draws)
    before = hypervolume(front_nm, reference_m)
    growth = [
        np.mean([hypervolume(np.vstack([front_nm, y[t]]), reference_m) - before for y in samples])
        for t in range(len(TEST))
    ]
    assert np.exp(values(surrogate)) == pytest.approx(growth, rel=0.2, abs=2e-2)
    assert np.argmax(values(surrogate)) == np.argmax(growth)


@pytest.mark.parametrize("m", [1, 2])
def test_a_pending_point_takes_away_its_neighbours_worth(m: int) -> None:
    Y_nm = np.hstack([np.sin(7 * GRID), np.cos(7 * GRID)])[:, :m]
    surrogate = fit(GRID, Y_nm, dimensions=1)
    near, far, pending = np.array([[0.93]]), np.array([[0.64]]), np.array([[0.935]])
    assert values(surrogate, near, pending_pf=pending)[0] < values(surrogate, near)[0] - 1
    assert values(surrogate, far, pending_pf=pending)[0] == pytest.approx(values(surrogate, far)[0], abs=0.3)


def test_failures_weigh_by_the_probability_of_ending_well() -> None:
    surrogate = fit(GRID, np.sin(7 * GRID), dimensions=1)
    feasibility = Feasibility(GRID, GRID[:, 0] < 0.5, dimensions=1)
    with reproducible(0), torch.no_grad():
        log_p = feasibility.log_probability(torch.from_numpy(TEST)).numpy()
    assert values(surrogate, feasibility=feasibility) == pytest.approx(values(surrogate) + log_p)


def test_a_limit_makes_what_breaks_it_worthless() -> None:
    """The second objective must stay below -0.5: only the right half of the range keeps that."""
    Y_nm = np.hstack([GRID, np.where(GRID > 0.5, -1.0, 1.0) * np.ones_like(GRID)])
    surrogate = fit(GRID, Y_nm, dimensions=1)
    limit = surrogate.scale.apply(np.array([np.nan, -0.5]))
    within = values(surrogate, np.array([[0.05], [0.95]]), limits_o=np.array([np.inf, limit[1]]))
    free = values(surrogate, np.array([[0.05], [0.95]]))
    assert within[0] < free[0] - 2
    assert free[1] - 1 < within[1]
