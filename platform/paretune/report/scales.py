"""How a chart's axis is laid out: linear or logarithmic, from where to where, with which ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_RATIO = 30.0  # beyond it a linear axis squeezes the good values into a corner
_MARGIN = 0.05  # of the axis on either side, so that no point sits on the frame
_NEAR = 0.5  # a reference further than half the data's extent away is left out
_HUGE = 1e250  # beyond it, or closer to zero than its inverse, an axis with its margin would leave the floats' range


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`."""

    low: float
    high: float
    log: bool

    def clamp(self, value: float) -> float:
        """`value`, or the end of the axis that is nearest to it."""
        return min(max(value, self.low), self.high)

    def holds(self, value: float) -> bool:
        """Whether `value` lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self) -> list[float] | None:
        """The ticks of a logarithmic axis; None leaves a linear one to Vega."""
        if not self.log:
            return None
        decades = math.log10(self.high) - math.log10(self.low)
        mantissas = (1, 2, 3, 5, 7) if decades < 1.2 else (1, 2, 5) if decades < 2.5 else (1,)
        stride = max(1, math.ceil(decades / 8))
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        ticks = [float(f"{m}e{e}") for e in exponents if e % stride == 0 for m in mantissas]
        return [tick for tick in ticks if self.holds(tick)]


def around(values: Sequence[float], *, also: float | None = None, log: bool | None = None) -> Scale:
    """The axis that shows all of `values`, and `also` where it is near.

    `log` None decides by the values: logarithmic when all are positive and span more than LOG_RATIO.
    """
    low, high = (min(max(value, -_HUGE), _HUGE) for value in (min(values), max(values)))
    if log is None:
        log = low > 0 and high / low >= LOG_RATIO
    if log:
        low, high = max(low, 1 / _HUGE), max(high, 1 / _HUGE)
    to, back = (math.log, math.exp) if log else (float, float)
    a, b = to(low), to(high)
    extent = b - a
    if also is not None and (not log or also > 0) and a - _NEAR * extent <= to(also) <= b + _NEAR * extent:
        a, b = min(a, to(also)), max(b, to(also))
    margin = _MARGIN * (b - a) or abs(a) * 0.1 or 1.0
    return Scale(back(a - margin), back(b + margin), log)
