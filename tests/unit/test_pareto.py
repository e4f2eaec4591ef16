"""Dominance and hypervolume: hand-computed figures, and brute force on random points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paretune.pareto import Array, fill_reference, hypervolume, hypervolume_history, non_dominated


def point_sets(m: int) -> st.SearchStrategy[Array]:
    """Whole numbers, so that ties and duplicates are common."""
    return st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, m), elements=st.integers(0, 6).map(float)))


@given(st.integers(1, 4).flatmap(point_sets))
def test_non_dominated_equals_brute_force(Y_nm: Array) -> None:
    expected = [not any(np.all(other <= y) and np.any(other < y) for other in Y_nm) for y in Y_nm]
    np.testing.assert_array_equal(non_dominated(Y_nm), expected)


@given(st.integers(1, 3).flatmap(point_sets))
def test_hypervolume_equals_counting_unit_cells(Y_nm: Array) -> None:
    m = Y_nm.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(7)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    expected = sum(any(np.all(y <= cell) for y in Y_nm) for cell in cells)
    assert hypervolume(Y_nm, np.full(m, 7.0)) == pytest.approx(expected)


def test_hypervolume_by_hand() -> None:
    Y_nm = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [3.0, 3.0]])
    assert hypervolume(Y_nm, np.array([4.0, 4.0])) == 3 + 2 + 1
    assert hypervolume(Y_nm, np.array([1.0, 1.0])) == 0.0
    assert hypervolume(np.array([[2.0], [5.0]]), np.array([7.0])) == 5.0
    assert hypervolume(np.zeros((0, 2)), np.array([1.0, 1.0])) == 0.0


@given(st.integers(1, 3).flatmap(point_sets))
def test_history_is_the_hypervolume_of_each_prefix_and_never_falls(Y_nm: Array) -> None:
    reference_m = np.full(Y_nm.shape[1], 5.0)
    history = hypervolume_history(Y_nm, reference_m)
    expected = [hypervolume(Y_nm[: i + 1], reference_m) for i in range(len(Y_nm))]
    np.testing.assert_allclose(history, expected)
    assert np.all(np.diff(history) >= 0)


def test_no_points() -> None:
    assert non_dominated(np.zeros((0, 2))).shape == (0,)
    assert hypervolume_history(np.zeros((0, 2)), np.ones(2)).shape == (0,)


def test_missing_reference_is_inferred_from_the_front() -> None:
    Y_nm = np.array([[0.0, 10.0], [4.0, 5.0], [9.0, 9.0]])  # the last is dominated
    np.testing.assert_allclose(fill_reference(Y_nm, np.array([math.nan, 20.0])), [4.0 + 0.1 * 4.0, 20.0])
    given_m = np.array([1.0, 2.0])
    np.testing.assert_array_equal(fill_reference(Y_nm, given_m), given_m)


def test_a_front_without_extent_still_gives_a_volume() -> None:
    reference_m = fill_reference(np.array([[0.0, -20.0]]), np.array([math.nan, math.nan]))
    np.testing.assert_allclose(reference_m, [0.1, -18.0])
    assert hypervolume(np.array([[0.0, -20.0]]), reference_m) == pytest.approx(0.2)
