"""Configurations as the columns a kernel sees.

Numbers and ordered choices take one column, their coordinate in [0, 1]. An unordered choice of two takes one column of
0 and 1, of k > 2 one column per option, scaled so that two options are as far apart as the ends of a number. Columns
of absent parameters hold one fixed value, so that what is absent never matters.

Legend: n configurations, d parameters, f columns; x_d a point of the cube, X_nf model inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretune.space import INACTIVE, Choice, Config, Int, Parameter, Space, Value

Array = npt.NDArray[np.float64]

FINE = 8
"""Ordered values beyond this many are optimised as if continuous and rounded; fewer are searched one step at a time."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where a parameter stands: coordinate `index` of the cube, columns `start` to `start + width` of the model."""

    name: str
    parameter: Parameter
    index: int
    start: int
    width: int
    relaxed: bool

    @property
    def labels(self) -> list[str]:
        if self.width == 1:
            return [self.name]
        assert isinstance(self.parameter, Choice)
        return [f"{self.name}={option}" for option in self.parameter.options]


class Encoding:
    """The columns of a space, and configurations in them."""

    def __init__(self, space: Space) -> None:
        self.space = space
        parents = {parent for parameter in space.values() for parent in parameter.when}
        columns: list[Column] = []
        start = 0
        for index, (name, parameter) in enumerate(space.items()):
            width = int(parameter.cardinality) if _nominal(parameter) and parameter.cardinality > 2 else 1
            relaxed = _fine(parameter) and name not in parents
            columns.append(Column(name, parameter, index, start, width, relaxed))
            start += width
        self.columns = tuple(columns)
        self.width = start

    @property
    def labels(self) -> list[str]:
        """A name for each column; shape (f,)."""
        return [label for column in self.columns for label in column.labels]

    @property
    def discrete(self) -> list[Column]:
        """The parameters with neighbouring values: all but the continuous ones."""
        return [column for column in self.columns if math.isfinite(column.parameter.cardinality)]

    def features(self, configs: Sequence[Config]) -> Array:
        """Model inputs X_nf of configurations; shape (n, f)."""
        X_nf = np.full((len(configs), self.width), INACTIVE)
        for row_f, config in zip(X_nf, configs, strict=True):
            for column in self.columns:
                part = slice(column.start, column.start + column.width)
                if column.name in config:
                    row_f[part] = self._values(column, config)
                elif column.width > 1:
                    row_f[part] = 0.0
        return X_nf

    def relaxed(self, config: Config) -> list[Column]:
        """The parameters of a configuration that a gradient may move; none of them switches another on or off."""
        return [column for column in self.columns if column.relaxed and column.name in config]

    def _values(self, column: Column, config: Config) -> Array | float:
        unit = column.parameter.to_unit(config[column.name])
        if not _nominal(column.parameter):
            return unit
        option = math.floor(unit * column.parameter.cardinality)
        return float(option) if column.width == 1 else np.eye(column.width)[option] / math.sqrt(2)


def neighbours(parameter: Parameter, value: Value) -> list[float]:
    """Coordinates of the values one step away from a discrete one: the next in order, or any other option."""
    if isinstance(parameter, Int):
        place = parameter.values.index(int(value))  # type: ignore[arg-type]
        around = (place - 1, place + 1)
        return [parameter.to_unit(parameter.values[i]) for i in around if 0 <= i < parameter.cardinality]
    bins = int(parameter.cardinality)
    place = math.floor(parameter.to_unit(value) * bins)
    others = range(bins) if _nominal(parameter) else (place - 1, place + 1)
    return [(i + 0.5) / bins for i in others if i != place and 0 <= i < bins]


def _nominal(parameter: Parameter) -> bool:
    return isinstance(parameter, Choice) and not parameter.ordered


def _fine(parameter: Parameter) -> bool:
    return not _nominal(parameter) and parameter.cardinality > FINE
