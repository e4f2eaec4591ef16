"""Who survives and who becomes a parent: NSGA-II's order (Deb et al., 2002).

Legend: n results, m objectives; Y_nm minimised values, violation_n by how much limits are missed (0: all kept).
"""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def survivors(Y_nm: Array, violation_n: Array, *, size: int) -> Indices:
    """The best `size` results, best first: by constrained domination, then by crowding distance (sections III-B, VI).

    What keeps the limits comes before what does not, a small violation before a larger one. Equal results stay in the
    order in which they ended.
    """
    rank_n = constrained_ranks(Y_nm, violation_n)
    crowding_n = np.zeros(len(Y_nm))
    for rank in np.unique(rank_n):
        front = np.flatnonzero(rank_n == rank)
        crowding_n[front] = crowding(Y_nm[front])
    order: Indices = np.lexsort((-crowding_n, rank_n))
    return order[:size]


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


def tournament(contestants: int, rng: np.random.Generator) -> int:
    """The better of two drawn at random from an order with the best first."""
    return int(rng.integers(contestants, size=2).min())
