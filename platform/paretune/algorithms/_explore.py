"""Other values beside those of a configuration: how population based training explores (Jaderberg et al., 2017)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from paretune.parameters import Choice, Config, Float, Int, Parameter, Value, same
from paretune.prior import believed, drawn
from paretune.space import Space

_DOWN, _UP = 0.8, 1.2  # the paper's factors
_LEAST = 0.02
"""Of the range of a number that has no logarithmic scale, so that it does not stay at zero where it once was."""
_TRIES = 64  # at a configuration that keeps the constraints, which the parent's does


def explored(
    space: Space, config: Config, *, tune: Collection[str], resample: float, rng: np.random.Generator
) -> dict[str, Value]:
    """A legal configuration near another one, whose values of the parameters in `tune` are changed.

    Each is drawn anew with the probability `resample`, else moved by a fifth, or to a neighbour. An option without an
    order has no neighbours and stays. What becomes active with a change is drawn; the rest stays what it is. The
    configuration itself where nothing legal is found.
    """
    for _ in range(_TRIES):
        found = _changed(space, config, tune=tune, resample=resample, rng=rng)
        if space.legal(found):
            return found
    return dict(config)


def _changed(
    space: Space, config: Config, *, tune: Collection[str], resample: float, rng: np.random.Generator
) -> dict[str, Value]:
    chance_d, anew_d, up_d = rng.random((3, len(space)))
    drawn_d = drawn(space, chance_d) if believed(space) else chance_d
    found: dict[str, Value] = {}
    for i, (name, parameter) in enumerate(space.items()):
        if not space.is_active(name, found):
            continue
        if name not in config or (name in tune and anew_d[i] < resample):
            found[name] = parameter.from_unit(float(drawn_d[i]))
        else:
            found[name] = moved(parameter, config[name], up=bool(up_d[i] < 0.5)) if name in tune else config[name]
    return found


def moved(parameter: Parameter, value: Value, *, up: bool) -> Value:
    """The value a fifth up or down, at least by one step where there are steps; the other way where that is no way."""
    there = _moved(parameter, value, up=up)
    return _moved(parameter, value, up=not up) if same(there, value) else there


def _moved(parameter: Parameter, value: Value, *, up: bool) -> Value:
    if isinstance(parameter, Choice):
        at = next(i for i, option in enumerate(parameter.options) if same(option, value))
        return parameter.options[_step(parameter.options, at, at, up=up)] if parameter.ordered else value
    assert isinstance(value, int | float)
    target = _target(parameter, value, up=up)
    if isinstance(parameter, Float) and parameter.step is None:
        return min(max(target, parameter.low), parameter.high)
    values: Sequence[float] = parameter.values if isinstance(parameter, Int) else _Grid(parameter)
    return values[_step(values, _nearest(values, value), _nearest(values, target), up=up)]


def _target(parameter: Float | Int, value: float, *, up: bool) -> float:
    if parameter.log:
        return value * (_UP if up else _DOWN)
    step = max((_UP - 1) * abs(value), _LEAST * (parameter.high - parameter.low))
    return value + step if up else value - step


class _Grid(Sequence[float]):
    """The values of a float with a step, in order."""

    def __init__(self, parameter: Float) -> None:
        self._parameter = parameter

    def __len__(self) -> int:
        return int(self._parameter.cardinality)

    def __getitem__(self, index: Any) -> Any:
        return self._parameter.from_unit((index + 0.5) / len(self))


def _nearest(values: Sequence[float], target: float) -> int:
    """The index of the value nearest to a target; values rise."""
    above = min(bisect_left(values, target), len(values) - 1)
    return above - 1 if above > 0 and target - values[above - 1] < values[above] - target else above


def _step(values: Sequence[Any], at: int, wanted: int, *, up: bool) -> int:
    """The wanted index, or the one beside it where that is where it was; at the end the last one."""
    index = wanted if wanted != at else at + (1 if up else -1)
    return min(max(index, 0), len(values) - 1)
