"""One coordinate of the unit cube for many points at once: the values that a parameter has there.

Legend: n points; unit_n coordinates in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretune.parameters import Choice, Float, Int, Parameter, Value, same
from paretune.scale import scale

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

INACTIVE = 0.5
"""The coordinate of a parameter that is not there: one fixed value, so that equal configurations have equal x_d."""


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter and its coordinate's place in the cube."""

    index: int
    parameter: Parameter

    def units(self) -> tuple[Array, Array]:
        """The coordinates of a discrete parameter's values, and the widths of their bins."""
        count = int(self.parameter.cardinality)
        if not (isinstance(self.parameter, Int) and self.parameter.log and self.parameter.step == 1):
            return (np.arange(count) + 0.5) / count, np.full(count, 1 / count)
        values_n, own = np.arange(self.parameter.low, self.parameter.high + 1.0), scale(self.parameter)
        return np.asarray(own.unit(values_n, np)), own.unit(values_n + 0.5, np) - own.unit(values_n - 0.5, np)

    def bins(self, unit_n: Array) -> npt.NDArray[np.int64]:
        """The number of the value at each coordinate of a discrete parameter; as `from_unit` has it."""
        parameter = self.parameter
        if isinstance(parameter, Int) and parameter.log and parameter.step == 1:
            exact_n = scale(parameter).value(np.clip(unit_n, 0.0, 1.0), np)
            return np.asarray(np.clip(np.rint(exact_n), parameter.low, parameter.high) - parameter.low, dtype=np.int64)
        count = int(parameter.cardinality)
        return np.clip(np.floor(unit_n * count), 0, count - 1).astype(np.int64)

    def values(self, unit_n: Array) -> Array:
        """The number at each coordinate, up to rounding in the last of 12 digits."""
        parameter = self.parameter
        if isinstance(parameter, Choice):
            return np.array(parameter.options, dtype=np.float64)[self.bins(unit_n)]
        if isinstance(parameter, Float) and parameter.step is None:
            return np.asarray(scale(parameter).value(np.clip(unit_n, 0.0, 1.0), np))
        if isinstance(parameter, Int) and parameter.step == "power2":
            return np.asarray(np.ldexp(float(parameter.low), self.bins(unit_n)), dtype=np.float64)
        return np.asarray(parameter.low + self.bins(unit_n) * float(parameter.step or 1), dtype=np.float64)

    def at(self, number: int) -> Value:
        """A discrete parameter's value of that number, counted from 0, as `bins` has it."""
        assert isinstance(self.parameter, Int | Choice)
        return self.parameter.options[number] if isinstance(self.parameter, Choice) else self.parameter.values[number]

    def equals(self, unit_n: Array, wanted: Iterable[Any]) -> Mask:
        """Whether the value at each coordinate is one of those."""
        if isinstance(self.parameter, Choice):
            options = self.parameter.options
            numbers = [i for i, option in enumerate(options) if any(same(option, value) for value in wanted)]
            return np.isin(self.bins(unit_n), numbers)
        return np.isin(self.values(unit_n), [float(value) for value in wanted])
