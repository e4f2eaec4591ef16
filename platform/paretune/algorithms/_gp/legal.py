"""The search for the best configuration where constraints must hold: gradients along boundaries, steps between them.

Sequential least-squares programming (Kraft, 1988) moves what is continuous, with the constraints as its own; what it
leaves a hair outside is pulled back. A discrete step that breaks a constraint is completed by a second
parameter, so that the search walks along `batch_size * accumulate == 4096`.

Legend: t points, d parameters, f columns, e entries that move; X_td points of the cube, X_tf model inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from paretune.algorithms._gp.cube import Cube
from paretune.constraints import Constraint, evaluate
from paretune.coordinates import Column as Coordinate
from paretune.legality import Group
from paretune.parameters import Parameter
from paretune.scale import Scale, scale
from paretune.space import Choice, Space

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Objective: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

_TOGETHER = 128
"""Entries moved at a time: the work of one step grows with their cube, and beyond this outweighs the acquisition."""
_PARTNERS = 257  # coordinates of a continuous parameter that may complete a step of another one
_PRECISION = 1e-4
"""Of the objective, a logarithm. Ending a search in 6 and 20 parameters (100 observations) at 1e-8 instead cost 25 %
more time and gained less than 2e-4."""
_SMALLEST = 1e-300  # whose logarithm is still a number


def movable(cube: Cube) -> Mask:
    """Coordinates a gradient may move: no constrained choice, and none in an equation, which rounding would break, or
    under a rule."""
    constraints = cube.space.constraints
    equal = {name for constraint in constraints if constraint.relation == "==" for name in constraint.names}
    equal |= {name for rule in cube.space.rules for name in rule.names}
    bound = {name for constraint in constraints for name in constraint.names}
    fixed = [name in equal or (name in bound and isinstance(p, Choice)) for name, p in cube.space.items()]
    return np.asarray(cube.movable_d & ~np.array(fixed))


def ascend(objective: Objective, cube: Cube, X_td: Array, moving_td: Mask, *, iterations: int) -> Array:
    """Points that maximise `objective` within the constraints, from legal ones, by what `moving_td` marks.

    They are legal; the coordinates are not rounded.
    """
    moved_td = X_td.copy()
    size = max(1, _TOGETHER // max(1, int(moving_td.sum(axis=1).max())))
    for first in range(0, len(X_td), size):
        part = slice(first, first + size)
        if moving_td[part].any():
            moved_td[part] = _ascend(objective, cube, X_td[part], moving_td[part], iterations)
    return cube.space.legality.pulled(moved_td, X_td)


def _ascend(objective: Objective, cube: Cube, X_td: Array, moving_td: Mask, iterations: int) -> Array:
    """All points of a part at once: their values add up, and none depends on another."""
    rows, parameters = np.nonzero(moving_td)
    places = np.array([column.start for column in cube.encoding.columns])[parameters]
    X_tf, index = torch.from_numpy(cube.columns(X_td)), (torch.from_numpy(rows), torch.from_numpy(places))
    rooms = _rooms(cube.space, X_td, moving_td)

    def negative(entries: Array) -> tuple[float, Array]:
        moved = torch.from_numpy(entries).requires_grad_(True)
        total = objective(X_tf.index_put(index, moved)).sum()
        (gradient,) = torch.autograd.grad(total, moved)
        return -total.item(), -gradient.numpy()

    def room(entries: Array) -> Array:
        at_e = torch.from_numpy(entries)
        return np.array([room(at_e).item() for room in rooms])

    def slope(entries: Array) -> Array:
        slopes_ce = np.zeros((len(rooms), len(entries)))
        for slope_e, room in zip(slopes_ce, rooms, strict=True):
            at_e = torch.from_numpy(entries).requires_grad_(True)
            slope_e[:] = torch.autograd.grad(room(at_e), at_e)[0].numpy()
        return slopes_ce

    start = X_td[rows, parameters]
    found = minimize(
        negative,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(start),
        constraints=[{"type": "ineq", "fun": room, "jac": slope}] if rooms else (),
        options={"maxiter": iterations, "ftol": _PRECISION},
    )
    moved_td = X_td.copy()
    if np.all(np.isfinite(found.x)):
        moved_td[rows, parameters] = np.clip(found.x, 0.0, 1.0)
    return moved_td


@dataclass(frozen=True, slots=True)
class _Room:
    """How far one candidate is from breaking one constraint, in logarithms where both sides are positive."""

    constraint: Constraint
    moving: dict[str, tuple[int, Scale]]  # by name, each with its entry's number
    fixed: dict[str, Any]
    size: float

    def __call__(self, entries: torch.Tensor) -> torch.Tensor:
        values = dict(self.fixed)
        for name, (entry, own) in self.moving.items():
            values[name] = own.value(entries[entry], torch)
        constraint = self.constraint
        if not constraint.positive:
            return -torch.as_tensor(constraint.excess(values)) / self.size
        sides = (torch.as_tensor(evaluate(side, values)) for side in (constraint.left, constraint.right))
        left, right = (torch.log(side.clamp_min(_SMALLEST)) for side in sides)
        return right - left if constraint.relation in ("<=", "<") else left - right


def _rooms(space: Space, X_td: Array, moving_td: Mask) -> list[_Room]:
    """One for each point and each constraint that what moves could break."""
    rooms: list[_Room] = []
    entry = 0
    for x_d, moving_d in zip(X_td, moving_td, strict=True):
        config, numbered = space.decode(x_d), dict[str, tuple[int, Scale]]()
        for (name, parameter), moves in zip(space.items(), moving_d, strict=True):
            if moves and not isinstance(parameter, Choice):
                numbered[name] = entry, scale(parameter)
            entry += int(moves)
        for constraint in space.constraints:
            named = {name: numbered[name] for name in constraint.names if name in numbered}
            if named and constraint.applies(config):
                fixed = {name: config[name] for name in constraint.names if name not in named}
                rooms.append(_Room(constraint, named, fixed, float(constraint.size(config)) or 1.0))
    return rooms


def completed(space: Space, around_td: Array, x_d: Array) -> Array:
    """Steps from a legal point to `around_td`, each of one coordinate, made legal; shape (t, d).

    A step that breaks a constraint is replaced by several: with it each other parameter of its group moves, by as
    little as makes it legal.
    """
    if not space.restricted:
        return around_td
    legal_t = space.legality.mask(around_td)
    points = list(around_td[legal_t])
    for step_d in around_td[~legal_t]:
        place = int(np.flatnonzero(step_d != x_d)[0])
        for group in space.legality.groups:
            for other in group.places.tolist() if place in group.places else ():
                if other != place:
                    points += _partnered(group, list(space.values())[other], step_d, other)
    return np.array(points).reshape(-1, len(x_d))


def _partnered(group: Group, parameter: Parameter, step_d: Array, other: int) -> list[Array]:
    """The step with the coordinate `other` moved as well, if that makes it legal."""
    if math.isfinite(parameter.cardinality):
        units, _ = Coordinate(other, parameter).units()
    else:
        units = np.linspace(0.0, 1.0, _PARTNERS)
    tried_td = np.tile(step_d, (len(units), 1))
    tried_td[:, other] = units
    legal_td = tried_td[group.mask(tried_td[:, group.places])]
    nearest = np.argsort(np.abs(legal_td[:, other] - step_d[other]), kind="stable")[:1]
    return list(legal_td[nearest])
