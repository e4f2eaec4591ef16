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
    best_m, worst_m = Y_nm.min(axis=0), Y_nm.max(axis=0)
    weighted_nm = weights_m * (Y_nm - best_m) / np.where(worst_m > best_m, worst_m - best_m, 1.0)
    return np.asarray(weighted_nm.max(axis=1) + _REST * weighted_nm.sum(axis=1))


def draw_weights(m: int, rng: np.random.Generator) -> Array:
    """Weights evenly distributed over those that add up to one; shape (m,)."""
    return rng.dirichlet(np.ones(m))
