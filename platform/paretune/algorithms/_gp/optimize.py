"""The legal, untried configuration that is worth most.

Points of the cube are judged as the configurations they decode to. From the best of many points the search climbs by
turns: a gradient moves what is continuous (and discrete parameters of many values, rounded afterwards), then single
steps move what is discrete, conditions included. As BoTorch's alternating search of mixed spaces (Daulton et al., 2022,
arXiv:2210.10199, appendix).

Legend: d parameters, f columns, t points; X_td legal points of the cube.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.stats import qmc

from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.legal import ascend, completed, movable
from paretune.algorithms._untried import ENUMERABLE, Key, untried
from paretune.prior import believed, drawn
from paretune.space import Config, Value

Array = npt.NDArray[np.float64]
Objective: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Model inputs of shape (t, f) to values of shape (t,), differentiable, to be maximised."""

_RAW_LOG2 = 9  # 512 points over the whole space
_AROUND = 256  # points near the best observed ones
_STARTS = 8
_ROUNDS = 3
_STEPS = 8  # of the discrete search in one round
_ITERATIONS = 40  # of L-BFGS in one round
_AT_ONCE = 256  # points judged in one go: more do not fit the processor's cache


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration and its value."""

    config: dict[str, Value]
    value: float


class Search:
    """Maximises `objective` over the configurations that are not `taken`."""

    def __init__(self, objective: Objective, cube: Cube, taken: set[Key]) -> None:
        self._objective, self._cube, self._space = objective, cube, cube.space
        self._movable_d = movable(cube)
        taken_td = np.array([self._space.encode(_config(key)) for key in taken]).reshape(-1, len(self._space))
        self._taken_keys, self._taken = set(cube.keys(taken_td)), taken

    def best(self, around: Sequence[Config], rng: np.random.Generator) -> Candidate | None:
        """The best candidate found; None where every configuration is taken. `around` are promising ones."""
        if self._space.cardinality <= ENUMERABLE:
            everything = [self._space.encode(config) for config in untried(self._space, self._taken)]
            return self._pick(np.array(everything)) if everything else None
        raw_td = self._cube.legal(np.concatenate([self._spread(rng), self._perturbed(around, rng)]))
        values_t = self._judge(raw_td)
        starts = np.argsort(-values_t, kind="stable")[:_STARTS]
        return self._pick(self._climb(raw_td[starts], values_t[starts]))

    def _pick(self, X_td: Array) -> Candidate | None:
        values_t = self._judge(X_td)
        for best in np.argsort(-values_t, kind="stable"):
            config = self._space.decode(X_td[best])
            if np.isfinite(values_t[best]) and self._space.legal(config):
                return Candidate(config, float(values_t[best]))
        return None

    def _climb(self, X_td: Array, values_t: Array) -> Array:
        for _ in range(_ROUNDS):
            before_td = X_td
            X_td, values_t = self._ascend(X_td, values_t)
            X_td, values_t = self._step(X_td, values_t)
            if not self._cube.discrete_d.any() or np.array_equal(X_td, before_td):
                break
        return X_td

    # -- where to begin --------------------------------------------------------------------------------------------

    def _spread(self, rng: np.random.Generator) -> Array:
        """Points over the whole space, one half of them where something is believed: a narrow belief is not missed."""
        X_td: Array = qmc.Sobol(len(self._space), scramble=True, rng=rng).random_base2(_RAW_LOG2)
        if believed(self._space):
            half = len(X_td) // 2
            X_td[:half] = [drawn(self._space, x_d) for x_d in X_td[:half]]
        return self._space.legality.mended(X_td, rng)

    def _perturbed(self, around: Sequence[Config], rng: np.random.Generator) -> Array:
        """Points near promising configurations, at distances from a hundredth to a fifth of the range.

        A parameter is moved at 1 in 2, at least one of them; unordered ones change to any option. Absent parameters
        are drawn anew.
        """
        if not around:
            return np.empty((0, len(self._space)))
        d = len(self._space)
        centers_td = np.array([self._space.encode(config) for config in around])[np.arange(_AROUND) % len(around)]
        absent_td = ~self._cube.active(centers_td)
        anew_td = rng.random((_AROUND, d))
        scales_t1 = 10 ** rng.uniform(-2, -0.7, (_AROUND, 1))
        near_td = np.clip(centers_td + scales_t1 * rng.standard_normal((_AROUND, d)), 0.0, 1.0)
        moved_td = rng.random((_AROUND, d)) < 0.5
        moved_td[np.arange(_AROUND), rng.integers(d, size=_AROUND)] = True
        near_td = np.where(self._cube.nominal_d & (rng.random((_AROUND, d)) < 0.4), anew_td, near_td)
        near_td = np.where(moved_td, near_td, centers_td)
        return self._space.legality.pulled(np.where(absent_td, anew_td, near_td), centers_td)

    def _judge(self, X_td: Array) -> Array:
        """Values of points with legal values, -inf where they are taken or break a constraint; shape (t,)."""
        free_t = np.array([key not in self._taken_keys for key in self._cube.keys(X_td)], dtype=bool)
        free_t &= self._space.legality.mask(X_td)
        values_t = np.full(len(X_td), -np.inf)
        if free_t.any():
            X_tf = torch.from_numpy(self._cube.columns(X_td[free_t]))
            with torch.no_grad():
                parts = [self._objective(part) for part in torch.split(X_tf, _AT_ONCE)]
            values_t[free_t] = torch.cat(parts).numpy()
        return np.where(np.isnan(values_t), -np.inf, values_t)

    # -- continuous ------------------------------------------------------------------------------------------------

    def _ascend(self, X_td: Array, values_t: Array) -> tuple[Array, Array]:
        """Move what is continuous of all points at once; each one only ever improves."""
        moving_td = self._cube.active(X_td) & self._movable_d
        if not moving_td.any():
            return X_td, values_t
        if self._space.restricted:
            moved_td = ascend(self._objective, self._cube, X_td, moving_td, iterations=_ITERATIONS)
        else:
            X_tf = self._cube.columns(X_td)
            rows, parameters = np.nonzero(moving_td)
            places = np.array([column.start for column in self._cube.encoding.columns])[parameters]
            moved_td = X_td.copy()
            moved_td[rows, parameters] = _maximize(self._objective, X_tf, rows, places)
        moved_td = self._cube.legal(moved_td)
        return _better(X_td, values_t, moved_td, self._judge(moved_td))

    # -- discrete --------------------------------------------------------------------------------------------------

    def _step(self, X_td: Array, values_t: Array) -> tuple[Array, Array]:
        """Every point steps to its best neighbour for as long as there is a better one."""
        climbing = np.arange(len(X_td))
        for _ in range(_STEPS):
            groups = [completed(self._space, self._cube.neighbours(X_td[i]), X_td[i]) for i in climbing]
            sizes = [len(group) for group in groups]
            if not sum(sizes):
                break
            around_td = self._cube.legal(np.concatenate(groups))
            found_t = self._judge(around_td)
            bounds = np.cumsum([0, *sizes])
            moved = []
            for i, first, last in zip(climbing, bounds[:-1], bounds[1:], strict=True):
                if last > first and found_t[first:last].max() > values_t[i]:
                    best = first + int(np.argmax(found_t[first:last]))
                    X_td, values_t = X_td.copy(), values_t.copy()
                    X_td[i], values_t[i] = around_td[best], found_t[best]
                    moved.append(i)
            climbing = np.array(moved, dtype=np.intp)
            if not moved:
                break
        return X_td, values_t


def _config(key: Key) -> Config:
    return {name: value for name, _, value in key}


def _better(X_td: Array, values_t: Array, other_td: Array, others_t: Array) -> tuple[Array, Array]:
    improved_t = others_t > values_t
    return np.where(improved_t[:, None], other_td, X_td), np.where(improved_t, others_t, values_t)


def _maximize(objective: Objective, X_tf: Array, rows: npt.NDArray[np.intp], places: npt.NDArray[np.intp]) -> Array:
    """L-BFGS-B on the sum over all points, in the given entries only; returns those entries, each in [0, 1]."""
    X = torch.from_numpy(X_tf)
    index = torch.from_numpy(rows), torch.from_numpy(places)

    def negative(entries: Array) -> tuple[float, Array]:
        moved = torch.from_numpy(entries).requires_grad_(True)
        total = objective(X.index_put(index, moved)).sum()
        (gradient,) = torch.autograd.grad(total, moved)
        return -total.item(), -gradient.numpy()

    start = X_tf[rows, places]
    result = minimize(
        negative, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start), options={"maxiter": _ITERATIONS}
    )
    return np.asarray(result.x)
