"""What a user believes about where the best values lie, before any trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from paretune.errors import SpaceError, nearest

_HINT = "prior: {log10: -3, sd: 0.5}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """A belief about a number: normal around `mean`, or its logarithm to base 10 around `log10`.

    `sd` is in the units of whichever is given; the belief is cut off at the parameter's bounds. It steers the start of
    a search and fades as results come in. Raises SpaceError unless exactly one of the two is given and `sd` > 0.
    """

    mean: float | None = None
    log10: float | None = None
    sd: float

    def __post_init__(self) -> None:
        if (self.mean is None) == (self.log10 is None):
            raise SpaceError(f"prior must have either mean or log10, got {self!r}", hint=_HINT)
        for name in ("mean", "log10", "sd"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise SpaceError(f"prior: {name} must be a finite number, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.sd <= 0:
            raise SpaceError(f"prior: sd must be > 0, got {self.sd:g}")

    @property
    def center(self) -> float:
        """The mean, of the value or of its logarithm."""
        return self.mean if self.mean is not None else self.log10  # type: ignore[return-value]  # one of them is there

    def to_dict(self) -> dict[str, float]:
        """The belief as plain data."""
        return {name: value for name in ("mean", "log10", "sd") if (value := getattr(self, name)) is not None}


def within(given: object, low: float, high: float) -> Normal:
    """A belief from one or from its plain form, which has to be centred between bounds: the best is looked for there.

    Raises SpaceError.
    """
    belief = _as_normal(given)
    if belief.log10 is not None:
        if low <= 0:
            raise SpaceError(f"prior: log10 needs low > 0, got low {low:g}", hint="use mean")
        low, high = math.log10(low), math.log10(high)
    if not low <= belief.center <= high:
        name = "mean" if belief.log10 is None else "log10"
        raise SpaceError(
            f"prior: {name} must be in [{low:g}, {high:g}], got {belief.center:g}", hint="widen the bounds"
        )
    return belief


def _as_normal(given: object) -> Normal:
    if isinstance(given, Normal):
        return given
    if not isinstance(given, Mapping):
        raise SpaceError(f"prior must be a Normal or a mapping, got {given!r}", hint=_HINT)
    for key in given:
        if key not in ("mean", "log10", "sd"):
            raise SpaceError(f"prior: unknown key {key!r}", hint=nearest(key, ("mean", "log10", "sd")))
    if "sd" not in given:
        raise SpaceError("prior: sd is missing", hint=_HINT)
    return Normal(**given)
