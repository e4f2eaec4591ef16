"""The configurations of a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from paretune.parameters import Parameter
from paretune.space import Config, Space, Value

POINTS = 5  # of a continuous parameter that nothing is said about


def levels(parameter: Parameter, points: int | None) -> list[Value]:
    """The values that a parameter takes: `points` evenly spaced ones with both ends, or all where there are no more."""
    size = parameter.cardinality
    if points is None:
        points = POINTS if math.isinf(size) else int(size)
    if points >= size:
        return [parameter.from_unit((place + 0.5) / size) for place in range(int(size))]
    units = [0.5] if points == 1 else np.linspace(0, 1, points).tolist()
    return list(dict.fromkeys(parameter.from_unit(unit) for unit in units))


def combinations(space: Space, values: Mapping[str, list[Value]]) -> Iterator[dict[str, Value]]:
    """Every configuration with these values, the last parameter moving first; absent parameters multiply nothing."""
    return _completed(space, values, {}, list(space))


def _completed(
    space: Space, values: Mapping[str, list[Value]], config: Config, names: list[str]
) -> Iterator[dict[str, Value]]:
    if not names:
        yield dict(config)
        return
    name, *rest = names
    if not space.is_active(name, config):
        yield from _completed(space, values, config, rest)
        return
    for value in values[name]:
        yield from _completed(space, values, {**config, name: value}, rest)
