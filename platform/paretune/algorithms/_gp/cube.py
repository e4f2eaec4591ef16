"""The unit cube in bulk: many points at once rounded to legal values, judged active or absent, turned into columns.

What `Space.decode`, `Space.encode` and `Encoding.features` do with one configuration, for a thousand in one go; a test
holds the two against each other.

Legend: t points, d parameters, f columns; X_td points of the cube.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretune.algorithms._gp.encoding import Column, Encoding, nominal
from paretune.parameters import conditions
from paretune.space import INACTIVE, Int, Parameter

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DECIMALS = 9  # beyond them two coordinates are one: decoding rounds a float to about ten digits


@dataclass(frozen=True, slots=True)
class _Condition:
    """Parameter `child` is there only where `parent` has one of the `codes`."""

    child: int
    parent: int
    codes: Array


class Cube:
    """The points of a space's cube; `movable_d` are the coordinates that a gradient may move."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding, self.space = encoding, encoding.space
        self._parameters = list(self.space.values())
        names = list(self.space)
        self._conditions = [
            _Condition(child, names.index(parent), _codes(self.space[parent], values))
            for child, parameter in enumerate(self._parameters)
            for parent, values in conditions(parameter).items()
        ]
        self.movable_d = np.array([column.relaxed for column in encoding.columns])
        self.nominal_d = np.array([nominal(parameter) for parameter in self._parameters])
        self.discrete_d = np.array([math.isfinite(parameter.cardinality) for parameter in self._parameters])

    def legal(self, X_td: Array) -> Array:
        """The points rounded to legal values, the coordinates of absent parameters INACTIVE; shape (t, d)."""
        units_td = np.empty_like(X_td)
        codes_td = np.empty_like(X_td)
        for j, parameter in enumerate(self._parameters):
            codes_td[:, j], units_td[:, j] = _round(parameter, X_td[:, j])
        return np.where(self._active(codes_td), units_td, INACTIVE)

    def columns(self, X_td: Array) -> Array:
        """Model inputs of legal points; shape (t, f)."""
        X_tf = np.zeros((len(X_td), self.encoding.width))
        active_td = self.active(X_td)
        for column in self.encoding.columns:
            self._write(column, X_td[:, column.index], active_td[:, column.index], X_tf)
        return X_tf

    def active(self, X_td: Array) -> Mask:
        """Which parameters are there at legal points; shape (t, d)."""
        if not self._conditions:
            return np.ones(X_td.shape, dtype=bool)
        codes_td = np.stack([_round(p, X_td[:, j])[0] for j, p in enumerate(self._parameters)], axis=1)
        return self._active(codes_td)

    def keys(self, X_td: Array) -> list[bytes]:
        """An identity of each legal point: equal for equal configurations."""
        rounded = np.round(X_td, _DECIMALS) + 0.0  # no negative zeros
        return [row.tobytes() for row in rounded]

    def neighbours(self, x_d: Array) -> Array:
        """Points that differ from a legal one in one discrete parameter that is there.

        By one step up or down where it is ordered, else by any other option; shape (t, d).
        """
        active_d = self.active(x_d[None])[0]
        moved: list[Array] = []
        for j in np.flatnonzero(self.discrete_d & active_d):
            for unit in _around(self._parameters[j], x_d[j]):
                x = x_d.copy()
                x[j] = unit
                moved.append(x)
        return np.array(moved).reshape(-1, len(x_d))

    def _active(self, codes_td: Array) -> Mask:
        active_td = np.ones(codes_td.shape, dtype=bool)
        for condition in self._conditions:  # parents come first in a space, so theirs are settled
            met_t = np.isin(codes_td[:, condition.parent], condition.codes)
            active_td[:, condition.child] &= met_t & active_td[:, condition.parent]
        return active_td

    def _write(self, column: Column, units_t: Array, active_t: Mask, X_tf: Array) -> None:
        if not nominal(column.parameter):
            X_tf[:, column.start] = np.where(active_t, units_t, INACTIVE)
            return
        options = int(column.parameter.cardinality)
        option_t = np.minimum((units_t * options).astype(np.intp), options - 1)
        if column.width == 1:
            X_tf[:, column.start] = np.where(active_t, option_t, INACTIVE)
        else:
            rows = np.flatnonzero(active_t)
            X_tf[rows, column.start + option_t[rows]] = 1 / math.sqrt(2)


def _round(parameter: Parameter, units_t: Array) -> tuple[Array, Array]:
    """A number that tells the values apart, and the coordinates of the nearest legal values; shapes (t,)."""
    units_t = np.clip(units_t, 0.0, 1.0)
    if math.isinf(parameter.cardinality):
        return units_t, units_t
    if isinstance(parameter, Int) and parameter.log and parameter.step == 1:
        low, span = parameter.low - 0.5, math.log((parameter.high + 0.5) / (parameter.low - 0.5))
        value_t = np.clip(np.round(low * np.exp(units_t * span)), parameter.low, parameter.high)
        return value_t, np.log(value_t / low) / span
    bins = int(parameter.cardinality)
    place_t = np.minimum(np.floor(units_t * bins), bins - 1)
    return place_t, (place_t + 0.5) / bins


def _codes(parameter: Parameter, values: Sequence[object]) -> Array:
    units = np.array([parameter.to_unit(value) for value in values])  # type: ignore[arg-type]
    return _round(parameter, units)[0]


def _around(parameter: Parameter, unit: float) -> list[float]:
    """Coordinates of the values one step away from a discrete one: the next in order, or any other option."""
    place = float(_round(parameter, np.array([unit]))[0][0])
    if isinstance(parameter, Int) and parameter.log and parameter.step == 1:
        nearby = [place - 1, place + 1]
        return [parameter.to_unit(int(v)) for v in nearby if parameter.low <= v <= parameter.high]
    bins = int(parameter.cardinality)
    others = range(bins) if nominal(parameter) else (int(place) - 1, int(place) + 1)
    return [(i + 0.5) / bins for i in others if i != place and 0 <= i < bins]
