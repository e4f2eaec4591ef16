"""Outcomes as the model sees them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paretune.algorithms._gp.outcomes import STRENGTHS, Scale

OUTCOMES = arrays(np.float64, (12, 1), elements=st.floats(-1e6, 1e6))


@settings(deadline=None)
@given(Y_nm=OUTCOMES, strength=st.sampled_from(STRENGTHS))
def test_what_is_standardised_can_be_restored_and_keeps_its_order(Y_nm: np.ndarray, strength: float) -> None:
    scale = Scale.of(Y_nm, strength_m=np.array([strength]))
    Z_nm = scale.apply(Y_nm)
    assert np.isfinite(Z_nm).all()
    restored_nm, _ = scale.restore(Z_nm, np.ones_like(Z_nm))
    size = max(1e-12, float(np.abs(Y_nm).max()))
    assert restored_nm == pytest.approx(scale.bound(Y_nm), abs=1e-8 * size)
    order = np.argsort(scale.bound(Y_nm)[:, 0], kind="stable")
    assert (np.diff(Z_nm[order, 0]) >= -1e-9).all()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_standardised_outcomes_have_no_mean_and_unit_spread(strength: float) -> None:
    Y_nm = np.random.default_rng(0).lognormal(size=(40, 1))
    scale = Scale.of(Y_nm, strength_m=np.array([strength]))
    assert scale.apply(Y_nm).mean() == pytest.approx(0.0, abs=1e-12)
    assert scale.apply(Y_nm).std() == pytest.approx(1.0)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_slopes_are_those_of_what_is_applied(strength: float) -> None:
    Y_nm = np.random.default_rng(0).lognormal(size=(40, 1))
    scale, step = Scale.of(Y_nm, strength_m=np.array([strength])), 1e-6
    inside_nm = np.sort(Y_nm, axis=0)[1:30]
    slopes_nm = (scale.apply(inside_nm + step) - scale.apply(inside_nm - step)) / (2 * step) * scale.unit_m
    assert scale.log_slopes(inside_nm)[0] == pytest.approx(np.log(slopes_nm).sum(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_small_standard_deviation_is_restored_by_the_slope(strength: float) -> None:
    Y_nm = np.random.default_rng(0).lognormal(size=(40, 1))
    scale = Scale.of(Y_nm, strength_m=np.array([strength]))
    at_nm, small = scale.apply(np.array([[0.8]])), 1e-5
    mean_nm, sd_nm = scale.restore(at_nm, np.array([[small]]))
    above_nm, _ = scale.restore(at_nm + small, np.array([[small]]))
    assert sd_nm == pytest.approx(above_nm - mean_nm, rel=1e-3)
    best_nm = scale.apply(Y_nm.min(axis=0, keepdims=True))
    assert scale.restore(best_nm, np.ones((1, 1)))[1] == pytest.approx(scale.own_units_m()[None])


def test_below_the_best_a_warp_goes_on_as_a_straight_line() -> None:
    scale = Scale.of(np.random.default_rng(0).lognormal(size=(40, 1)), strength_m=np.array([10.0]))
    Z_nm = scale.apply(scale.floor_m - np.array([[0.0], [0.1], [0.2], [5.0]]) * scale.unit_m)
    assert np.diff(Z_nm[:3, 0]) == pytest.approx([(Z_nm[1] - Z_nm[0]).item()] * 2)
    assert scale.restore(Z_nm, np.ones_like(Z_nm))[0][3, 0] == pytest.approx((scale.floor_m - 5 * scale.unit_m).item())


def test_an_exploded_outcome_counts_as_at_the_fence() -> None:
    Y_nm = np.append(np.linspace(0, 1, 20), 1e9)[:, None]
    assert Scale.of(Y_nm).apply(Y_nm).max() < 5
    assert Scale.of(Y_nm, keep_m=np.array([50.0])).ceiling_m[0] > 50
