"""The search for the best configuration where constraints must hold: gradients along boundaries, steps between them.

Sequential least-squares programming (Kraft, 1988) moves what is continuous, with the constraints as its own; what it
leaves a hair outside is pulled back to where it began. A discrete step that breaks a constraint is completed by a second
parameter, so that the search walks along `batch_size * accumulate == 4096`.

Legend: t candidates, d parameters, f columns, e entries that move, c constraints; X_tf model inputs, x_d a point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from paretune.algorithms._gp.encoding import Column, Encoding
from paretune.constraints import Constraint, evaluate
from paretune.coordinates import Column as Coordinate
from paretune.legality import Group
from paretune.scale import scale
from paretune.space import Choice, Config, Space

Array = npt.NDArray[np.float64]
Objective: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

_PARTNERS = 257  # coordinates of a continuous parameter that may complete a step of another one
_SMALLEST = 1e-300  # whose logarithm is still a number


def moved_by_gradient(encoding: Encoding, config: Config) -> list[Column]:
    """The columns a gradient may move: none in an equation, which rounding would break, and no constrained choice."""
    constraints = encoding.space.constraints
    equal = {name for constraint in constraints if constraint.relation == "==" for name in constraint.names}
    bound = {name for constraint in constraints for name in constraint.names}
    return [
        column
        for column in encoding.relaxed(config)
        if column.name not in equal and not (column.name in bound and isinstance(column.parameter, Choice))
    ]


def ascend(
    objective: Objective,
    X_tf: Array,
    moving: Sequence[Sequence[Column]],
    configs: Sequence[Config],
    *,
    constraints: Sequence[Constraint],
    iterations: int,
) -> Array:
    """The entries that maximise the sum over all candidates within their constraints, from legal ones; shape (e,).

    Entries stand in the order of the candidates, and of the `moving` columns of each.
    """
    rows = [row for row, columns in enumerate(moving) for _ in columns]
    places = [column.start for columns in moving for column in columns]
    rooms = _rooms(moving, configs, constraints)

    def negative(entries: Array) -> tuple[float, Array]:
        X = torch.from_numpy(X_tf.copy())
        X[rows, places] = torch.from_numpy(entries)
        X.requires_grad_(True)
        total = objective(X).sum()
        (gradient_tf,) = torch.autograd.grad(total, X)
        return -total.item(), -gradient_tf[rows, places].numpy()

    def room(entries: Array) -> Array:
        at_e = torch.from_numpy(entries)
        return np.array([room(at_e).item() for room in rooms])

    def slope(entries: Array) -> Array:
        slopes_ce = np.zeros((len(rooms), len(entries)))
        for slope_e, room in zip(slopes_ce, rooms, strict=True):
            at_e = torch.from_numpy(entries).requires_grad_(True)
            slope_e[:] = torch.autograd.grad(room(at_e), at_e)[0].numpy()
        return slopes_ce

    start = X_tf[rows, places]
    result = minimize(
        negative,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(start),
        constraints=[{"type": "ineq", "fun": room, "jac": slope}] if rooms else (),
        options={"maxiter": iterations, "ftol": 1e-8},
    )
    entries = np.clip(np.asarray(result.x), 0.0, 1.0)
    return entries if np.all(np.isfinite(entries)) else start


@dataclass(frozen=True, slots=True)
class _Room:
    """How far one candidate is from breaking one constraint, in logarithms where both sides are positive."""

    constraint: Constraint
    columns: dict[str, tuple[int, Column]]  # the names that move, each with its entry's number
    fixed: dict[str, Any]
    size: float

    def __call__(self, entries: torch.Tensor) -> torch.Tensor:
        values = dict(self.fixed)
        for name, (entry, column) in self.columns.items():
            assert not isinstance(column.parameter, Choice)
            values[name] = scale(column.parameter).value(entries[entry], torch)
        constraint = self.constraint
        if not constraint.positive:
            return -torch.as_tensor(constraint.excess(values)) / self.size
        sides = (torch.as_tensor(evaluate(side, values)) for side in (constraint.left, constraint.right))
        left, right = (torch.log(side.clamp_min(_SMALLEST)) for side in sides)
        return right - left if constraint.relation in ("<=", "<") else left - right


def _rooms(
    moving: Sequence[Sequence[Column]], configs: Sequence[Config], constraints: Sequence[Constraint]
) -> list[_Room]:
    """One for each candidate and each constraint that what moves could break."""
    rooms: list[_Room] = []
    entry = 0
    for columns, config in zip(moving, configs, strict=True):
        numbered = {column.name: (entry + i, column) for i, column in enumerate(columns)}
        entry += len(columns)
        for constraint in constraints:
            named = {name: numbered[name] for name in constraint.names if name in numbered}
            if named and constraint.applies(config):
                fixed = {name: config[name] for name in constraint.names if name not in named}
                rooms.append(_Room(constraint, named, fixed, float(constraint.size(config)) or 1.0))
    return rooms


def landings(space: Space, x_d: Array, start_d: Array) -> list[Array]:
    """Legal points at the end of an ascent from the legal `start_d` to `x_d`, which rounding may have taken outside.

    The point pulled back as far as it must be; and the same from the values next to each rounded one.
    """
    points = [x_d]
    for place, parameter in enumerate(space.values()):
        if space.legality.group_of(place) is not None and math.isfinite(parameter.cardinality):
            for towards in (-1.0, 1.0):
                beside_d = x_d.copy()
                beside_d[place] = np.clip(x_d[place] + towards / parameter.cardinality, 0.0, 1.0)
                points.append(beside_d)
    return [space.legality.pulled(point_d, start_d) for point_d in points]


def completed(space: Space, x_d: Array, place: int) -> list[Array]:
    """What becomes of a step that moved the coordinate `place` of a legal point to `x_d`: a list of legal points.

    The step itself where it is legal; else, for each other parameter of the group, the step with that one moved too, by
    as little as makes it legal.
    """
    group = space.legality.group_of(place)
    if group is None or group.mask(x_d[None, group.places])[0]:
        return [x_d]
    found = (_partnered(space, group, x_d, other) for other in group.places.tolist() if other != place)
    return [point_d for point_d in found if point_d is not None]


def _partnered(space: Space, group: Group, x_d: Array, other: int) -> Array | None:
    parameter = list(space.values())[other]
    if math.isfinite(parameter.cardinality):
        units, _ = Coordinate(other, parameter).units()
    else:
        units = np.linspace(0.0, 1.0, _PARTNERS)
    tried_td = np.tile(x_d, (len(units), 1))
    tried_td[:, other] = units
    legal_td = tried_td[group.mask(tried_td[:, group.places])]
    return legal_td[np.argmin(np.abs(legal_td[:, other] - x_d[other]))] if len(legal_td) else None
