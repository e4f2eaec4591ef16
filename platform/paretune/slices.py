"""Points spread evenly over a part of the unit cube of which nothing is known but which points belong to it.

Legend: p points, k coordinates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def spread(X_pk: Array, legal: Callable[[Array], Mask], steps: int, rng: np.random.Generator) -> Array:
    """Slice sampling by shrinkage (Neal, 2003, section 5) of the uniform distribution over the legal part, per row.

    Each step goes along one coordinate or, at even odds, along a random direction; it ends at the latest where it
    began, which is legal.
    """
    p, k = X_pk.shape
    for _ in range(steps):
        axis_pk = np.eye(k)[rng.integers(k, size=p)]
        free_pk = rng.standard_normal((p, k))
        direction_pk = np.where(rng.random((p, 1)) < 0.5, axis_pk, free_pk)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends_2pk = np.stack([-X_pk / direction_pk, (1 - X_pk) / direction_pk])
        low_p = np.nanmax(np.where(direction_pk == 0, -np.inf, ends_2pk.min(0)), axis=1)
        high_p = np.nanmin(np.where(direction_pk == 0, np.inf, ends_2pk.max(0)), axis=1)
        moving_p, moved_pk = np.ones(p, dtype=bool), X_pk.copy()
        for _ in range(50):  # the slice has shrunk by then to nothing: what still moves stays where it was
            t_p = rng.uniform(low_p, high_p)
            tried_pk = np.clip(X_pk + t_p[:, None] * direction_pk, 0.0, 1.0)
            arrived_p = moving_p & legal(tried_pk)
            moved_pk[arrived_p] = tried_pk[arrived_p]
            moving_p &= ~arrived_p
            if not moving_p.any():
                break
            low_p, high_p = np.where(t_p < 0, t_p, low_p), np.where(t_p > 0, t_p, high_p)
        X_pk = moved_pk
    return X_pk
