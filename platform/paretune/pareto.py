"""Pareto dominance and hypervolume of minimised values (moocore does the work).

Legend: n points, m objectives; Y_nm minimised values; reference_m the worst point that still counts.
"""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def non_dominated(Y_nm: Array) -> npt.NDArray[np.bool_]:
    """Which rows no other row dominates; equal rows all count. Shape (n,)."""
    if len(Y_nm) == 0:
        return np.zeros(0, dtype=bool)
    if Y_nm.shape[1] == 1:
        return np.asarray(Y_nm[:, 0] == Y_nm[:, 0].min())
    return np.asarray(moocore.is_nondominated(Y_nm, keep_weakly=True), dtype=bool)


def hypervolume(Y_nm: Array, reference_m: Array) -> float:
    """The volume that the rows dominate up to the reference (Zitzler and Thiele, 1998)."""
    better_nm = Y_nm[np.all(Y_nm < reference_m, axis=1)]
    if len(better_nm) == 0:
        return 0.0
    if Y_nm.shape[1] == 1:
        return float(reference_m[0] - better_nm.min())
    return float(moocore.hypervolume(better_nm, ref=reference_m))


def hypervolume_history(Y_nm: Array, reference_m: Array) -> Array:
    """The hypervolume of the first 1, 2, ... n rows; never falls. Shape (n,)."""
    volumes_n = np.zeros(len(Y_nm))
    front: list[int] = []
    for i in range(len(Y_nm)):
        candidates = [*front, i]
        front = [candidates[j] for j in np.flatnonzero(non_dominated(Y_nm[candidates]))]
        volumes_n[i] = hypervolume(Y_nm[front], reference_m) if i in front else volumes_n[i - 1]
    return volumes_n


def fill_reference(Y_nm: Array, reference_m: Array) -> Array:
    """The reference with its NaNs replaced: the worst value of the front plus a tenth of the front's extent.

    As BoTorch's `infer_reference_point` (Ishibuchi et al., 2018); where the front has no extent, a tenth of the
    value's size (or of one) stands in. Shape (m,).
    """
    if not np.any(np.isnan(reference_m)) or len(Y_nm) == 0:
        return reference_m
    front_nm = Y_nm[non_dominated(Y_nm)]
    worst_m, extent_m = front_nm.max(axis=0), np.ptp(front_nm, axis=0)
    size_m = np.where(worst_m == 0, 1.0, np.abs(worst_m))
    inferred_m = worst_m + 0.1 * np.where(extent_m > 0, extent_m, size_m)
    return np.where(np.isnan(reference_m), inferred_m, reference_m)
