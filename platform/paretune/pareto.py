"""Pareto dominance, orders that follow from it, and hypervolume of minimised values (moocore does the work).

Legend: n points, m objectives; Y_nm minimised values; reference_m the worst point that still counts; violation_n by how
much limits are missed (0: all kept).
"""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def non_dominated(Y_nm: Array) -> npt.NDArray[np.bool_]:
    """Which rows no other row dominates; equal rows all count. Shape (n,)."""
    if len(Y_nm) == 0:
        return np.zeros(0, dtype=bool)
    if Y_nm.shape[1] == 1:
        return np.asarray(Y_nm[:, 0] == Y_nm[:, 0].min())
    return np.asarray(moocore.is_nondominated(Y_nm, keep_weakly=True), dtype=bool)


def best_first(Y_nm: Array, violation_n: Array) -> Indices:
    """NSGA-II's order, by constrained domination and then by crowding distance (Deb et al., 2002); shape (n,).

    What keeps the limits comes before what does not, a small violation before a larger one. Equal results stay in the
    order in which they ended.
    """
    rank_n = constrained_ranks(Y_nm, violation_n)
    crowding_n = np.zeros(len(Y_nm))
    ranks, sizes = np.unique(rank_n, return_counts=True)
    for rank in ranks[sizes > 1]:  # with one objective most are alone, and there is nothing to order
        front = np.flatnonzero(rank_n == rank)
        crowding_n[front] = crowding(Y_nm[front])
    order: Indices = np.lexsort((-crowding_n, rank_n))
    return order


def constrained_ranks(Y_nm: Array, violation_n: Array) -> npt.NDArray[np.int64]:
    """The non-domination rank of what keeps the limits, then the rest by its violation; shape (n,), from 0."""
    rank_n = np.zeros(len(Y_nm), dtype=np.int64)
    kept_n = violation_n <= 0
    if kept_n.any():
        rank_n[kept_n] = moocore.pareto_rank(Y_nm[kept_n])
    first = int(rank_n[kept_n].max()) + 1 if kept_n.any() else 0
    rank_n[~kept_n] = first + np.unique(violation_n[~kept_n], return_inverse=True)[1]
    return rank_n


def crowding(Y_nm: Array) -> Array:
    """How far a front's members are from their neighbours, in units of the front's extent; shape (n,).

    The ends of each objective are infinitely far. A copy of a member has no room of its own.
    """
    distance_n = np.zeros(len(Y_nm))
    unique_um, first_u = np.unique(Y_nm, axis=0, return_index=True)
    room_u = np.zeros(len(unique_um))
    for y_u in unique_um.T:
        order_u = np.argsort(y_u, kind="stable")
        extent = max(y_u[order_u[-1]] - y_u[order_u[0]], np.finfo(np.float64).tiny)
        room_u[order_u[1:-1]] += (y_u[order_u[2:]] - y_u[order_u[:-2]]) / extent
        room_u[order_u[[0, -1]]] = np.inf
    distance_n[first_u] = room_u
    return distance_n


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
