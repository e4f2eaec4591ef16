"""The legal, untried configuration that is worth most.

Every candidate is a real configuration: a point of the cube is decoded, which rounds, and encoded again before it is
judged. From the best of many candidates the search climbs by turns: a gradient moves what is continuous (and discrete
parameters of many values, rounded afterwards), then single steps move what is discrete, conditions included.
As BoTorch's alternating search of mixed spaces (Daulton et al., 2022, arXiv:2210.10199, appendix).

Legend: d parameters, f columns, t candidates; x_d a point of the cube, X_tf model inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.stats import qmc

from paretune.algorithms._gp.encoding import Column, Encoding, neighbours
from paretune.algorithms._untried import ENUMERABLE, Key, untried
from paretune.space import Choice, Config, Value

Array = npt.NDArray[np.float64]
Objective: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Model inputs of shape (t, f) to values of shape (t,), differentiable, to be maximised."""

_RAW_LOG2 = 8  # 256 points over the whole space
_AROUND = 64  # points near the best observed ones
_STARTS = 4
_ROUNDS = 3
_STEPS = 8  # of the discrete search in one round
_ITERATIONS = 40  # of L-BFGS in one round


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration, its value, and a point of the cube that decodes to it.

    The point also has coordinates for absent parameters: the values they take when a step switches them on.
    """

    x_d: Array
    config: dict[str, Value]
    value: float


class Search:
    """Maximises `objective` over the configurations that are not `taken`."""

    def __init__(self, objective: Objective, encoding: Encoding, taken: set[Key]) -> None:
        self._objective, self._encoding, self._taken = objective, encoding, taken
        self._space = encoding.space

    def best(self, around: Sequence[Config], rng: np.random.Generator) -> Candidate | None:
        """The best candidate found; None where every configuration is taken. `around` are promising ones."""
        if self._space.cardinality <= ENUMERABLE:
            everything = list(untried(self._space, self._taken))
            return max(self._judge([self._space.encode(c) for c in everything]), key=_value, default=None)
        raw = self._judge([*self._spread(rng), *self._perturbed(around, rng)])
        starts = sorted(raw, key=_value, reverse=True)[:_STARTS]
        reached = self._climb(starts)
        return max(reached, key=_value, default=None)

    def _climb(self, candidates: list[Candidate]) -> list[Candidate]:
        for _ in range(_ROUNDS):
            before = candidates
            candidates = self._ascend(candidates)
            candidates = [self._step(candidate) for candidate in candidates]
            if not self._encoding.discrete or all(a is b for a, b in zip(before, candidates, strict=True)):
                break
        return candidates

    # -- candidates ------------------------------------------------------------------------------------------------

    def _spread(self, rng: np.random.Generator) -> Array:
        return np.asarray(qmc.Sobol(len(self._space), rng=rng).random_base2(_RAW_LOG2))

    def _perturbed(self, around: Sequence[Config], rng: np.random.Generator) -> list[Array]:
        """Points a normal step of a tenth of the range away from promising ones; unordered options change at 1 in 5."""
        points: list[Array] = []
        for i in range(_AROUND if around else 0):
            config = around[i % len(around)]
            present_d = np.array([name in config for name in self._space])
            x_d = np.where(present_d, self._space.encode(config), rng.random(len(self._space)))
            near_d = np.clip(x_d + 0.1 * rng.standard_normal(len(x_d)), 0.0, 1.0)
            drawn_d = np.where(rng.random(len(x_d)) < 0.2, rng.random(len(x_d)), x_d)
            unordered_d = np.array([isinstance(p, Choice) and not p.ordered for p in self._space.values()])
            points.append(np.where(unordered_d, drawn_d, near_d))
        return points

    def _judge(self, points: Iterable[Array]) -> list[Candidate]:
        """Candidates of the points whose configurations are neither taken nor named twice."""
        found: dict[Key, tuple[Array, dict[str, Value]]] = {}
        for x_d in points:
            config = self._space.decode(x_d)
            key = self._space.key(config)
            if key not in self._taken:
                found.setdefault(key, (x_d, config))
        if not found:
            return []
        with torch.no_grad():
            X_tf = torch.from_numpy(self._encoding.features([config for _, config in found.values()]))
            values = torch.cat([self._objective(part) for part in torch.split(X_tf, 1 << _RAW_LOG2)]).tolist()
        return [Candidate(x_d, config, value) for (x_d, config), value in zip(found.values(), values, strict=True)]

    # -- continuous ------------------------------------------------------------------------------------------------

    def _ascend(self, candidates: list[Candidate]) -> list[Candidate]:
        """Move what is continuous of all candidates at once; each one only ever improves."""
        moving = [self._encoding.relaxed(candidate.config) for candidate in candidates]
        if not any(moving):
            return candidates
        X_tf = self._encoding.features([candidate.config for candidate in candidates])
        rows = [row for row, columns in enumerate(moving) for _ in columns]
        places = [column.start for columns in moving for column in columns]
        X_tf[rows, places] = _maximize(self._objective, X_tf, rows, places)
        moved = [
            _written(candidate.x_d, columns, x_f)
            for candidate, columns, x_f in zip(candidates, moving, X_tf, strict=True)
        ]
        return [self._better(candidate, [x_d]) for candidate, x_d in zip(candidates, moved, strict=True)]

    # -- discrete --------------------------------------------------------------------------------------------------

    def _step(self, candidate: Candidate) -> Candidate:
        """Steps to the best neighbour for as long as there is a better one."""
        for _ in range(_STEPS):
            better = self._better(candidate, self._neighbours(candidate))
            if better is candidate:
                break
            candidate = better
        return candidate

    def _better(self, candidate: Candidate, points: Sequence[Array]) -> Candidate:
        best = max(self._judge(points), key=_value, default=candidate)
        return best if best.value > candidate.value else candidate

    def _neighbours(self, candidate: Candidate) -> list[Array]:
        """Points that differ in one discrete parameter: by one step where it is ordered, else by any option."""
        points: list[Array] = []
        for column in self._encoding.discrete:
            if column.name not in candidate.config:
                continue
            for unit in neighbours(column.parameter, candidate.config[column.name]):
                x_d = candidate.x_d.copy()
                x_d[column.index] = unit
                points.append(x_d)
        return points


def _value(candidate: Candidate) -> float:
    return candidate.value


def _written(x_d: Array, columns: Sequence[Column], x_f: Array) -> Array:
    """The point with what the gradient moved."""
    x_d = x_d.copy()
    for column in columns:
        x_d[column.index] = x_f[column.start]
    return x_d


def _maximize(objective: Objective, X_tf: Array, rows: list[int], places: list[int]) -> Array:
    """L-BFGS-B on the sum over all points, in the given entries only; returns those entries, each in [0, 1]."""

    def negative(entries: Array) -> tuple[float, Array]:
        X = torch.from_numpy(X_tf.copy())
        X[rows, places] = torch.from_numpy(entries)
        X.requires_grad_(True)
        total = objective(X).sum()
        (gradient_tf,) = torch.autograd.grad(total, X)
        return -total.item(), -gradient_tf[rows, places].numpy()

    start = X_tf[rows, places]
    result = minimize(
        negative, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start), options={"maxiter": _ITERATIONS}
    )
    return np.asarray(result.x)
