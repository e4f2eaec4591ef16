"""The smooth map between a number's coordinate u in [0, 1] and its value v, rounding left out.

Either v = a + b u or v = exp(a + b u). The middle of a discrete value's bin maps to the value itself, so that
`from_unit` is this map, rounded. What needs a derivative, or a density, is computed on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from paretune.parameters import Float, Int


@dataclass(frozen=True, slots=True)
class Scale:
    """v = a + b u, or exp(a + b u) where `log`."""

    log: bool
    a: float
    b: float

    def value(self, unit: Any, numbers: Any) -> Any:
        """The value at a coordinate, in the arithmetic of `numbers`: math, numpy or torch."""
        line = self.a + self.b * unit
        return numbers.exp(line) if self.log else line

    def unit(self, value: Any, numbers: Any) -> Any:
        """The coordinate of a value: the way back."""
        return ((numbers.log(value) if self.log else value) - self.a) / self.b


def scale(parameter: Float | Int) -> Scale:
    """The scale of a number."""
    low, high = parameter.low, parameter.high
    if isinstance(parameter, Float) and parameter.step is not None:
        return _bins(low, parameter.step, parameter.cardinality)
    if isinstance(parameter, Float):
        return Scale(True, math.log(low), math.log(high / low)) if parameter.log else Scale(False, low, high - low)
    if parameter.step == "power2":
        return _bins(math.log(low), math.log(2), parameter.cardinality, log=True)
    if parameter.log:
        return Scale(True, math.log(low - 0.5), math.log((high + 0.5) / (low - 0.5)))
    return _bins(low, parameter.step, parameter.cardinality)


def _bins(first: float, step: float, bins: float, *, log: bool = False) -> Scale:
    """Equal bins of which the first one's middle is `first`."""
    return Scale(log, first - step / 2, step * bins)
