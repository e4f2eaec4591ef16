"""Many objectives as one, a different one for every suggestion.

The augmented Chebyshev scalarisation of ParEGO (Knowles, 2006, equation 2): every point of the front is the best under
some weights. A hypervolume of more than four objectives is cut into too many boxes to be searched.

Legend: n results, m objectives; Y_nm minimised.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MOST = 4
"""Objectives up to which the hypervolume is searched itself."""

_REST = 0.05  # of the weighted sum beside the largest term, so that no dominated point is as good as its dominator


def chebyshev(Y_nm: Array, weights_m: Array) -> Array:
    """The scalarised outcomes, shape (n,), of objectives that go from 0 at their best to 1 at their worst result."""
    weighted_nm = _slopes(Y_nm, weights_m) * (Y_nm - Y_nm.min(axis=0))
    return np.asarray(weighted_nm.max(axis=1) + _REST * weighted_nm.sum(axis=1))


def chebyshev_errors(Y_nm: Array, errors_nm: Array, weights_m: Array) -> Array:
    """The standard errors of the scalarised outcomes from those of the objectives, to first order; shape (n,)."""
    slope_m = _slopes(Y_nm, weights_m)
    weighted_nm = slope_m * (Y_nm - Y_nm.min(axis=0))
    largest_nm = weighted_nm == weighted_nm.max(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm((largest_nm + _REST) * slope_m * errors_nm, axis=1))


def _slopes(Y_nm: Array, weights_m: Array) -> Array:
    """What a unit of each objective weighs; shape (m,)."""
    range_m = np.ptp(Y_nm, axis=0)
    return np.asarray(weights_m / np.where(range_m > 0, range_m, 1.0))


def draw_weights(m: int, rng: np.random.Generator) -> Array:
    """Weights evenly distributed over those that add up to one; shape (m,)."""
    return rng.dirichlet(np.ones(m))
