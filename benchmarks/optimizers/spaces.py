"""Search spaces that no library owns: what tasks are written in and what adapters translate. Standard library only.

    Parameter   one float, int or choice; present only `when` an earlier parameter has one of some values
    Space       parameters in order; a configuration holds the active ones and no others
    Limit       an input constraint: a sum or a product of parameters that must not exceed a number

Values are plain Python; `to_data` and `from_data` go to JSON and back.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Value = float | int | str
Config = dict[str, Any]

_EDGE = 1e-6  # libraries that go by way of logarithms return bounds that are off by rounding


class BadConfigError(ValueError):
    """A configuration outside its space: the optimizer's fault, recorded as its failure."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension. `when` is (earlier parameter, values for which this one exists)."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    options: tuple[Value, ...] = ()
    when: tuple[str, tuple[Value, ...]] | None = None

    def active(self, config: Mapping[str, Any]) -> bool:
        """Whether it exists beside the parameters of `config` before it."""
        return self.when is None or config.get(self.when[0]) in self.when[1]

    def checked(self, value: Any) -> Value:
        """The value as a plain Python one of the right type; raises BadConfigError outside the bounds."""
        if self.kind == "choice":
            for option in self.options:
                if value == option:
                    return option
            raise BadConfigError(f"{self.name}: must be one of {list(self.options)}, got {value!r}")
        number = float(value)
        edge = _EDGE * (abs(self.low) + abs(self.high))
        if not self.low - edge <= number <= self.high + edge:
            raise BadConfigError(f"{self.name}: must be in [{self.low:g}, {self.high:g}], got {number!r}")
        number = min(max(number, self.low), self.high)
        return round(number) if self.kind == "int" else number

    def from_unit(self, unit: float) -> Value:
        """The value at `unit` in [0, 1]; integers and options own equal shares (equal in logarithm when `log`)."""
        unit = min(max(unit, 0.0), 1.0)
        if self.kind == "choice":
            return self.options[min(int(unit * len(self.options)), len(self.options) - 1)]
        half = 0.5 if self.kind == "int" else 0.0
        low, high = self.low - half, self.high + half
        number = low * math.exp(unit * math.log(high / low)) if self.log else low + unit * (high - low)
        number = min(max(number, self.low), self.high)
        return round(number) if self.kind == "int" else number

    def to_unit(self, value: Any) -> float:
        """Where the value lies in [0, 1]: options at the middle of their share, numbers between the bounds."""
        if self.kind == "choice":
            return (self.options.index(value) + 0.5) / len(self.options)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)


def real(name: str, low: float, high: float, *, log: bool = False, when: Any = None) -> Parameter:
    """A float; `when` is `(parent, value or values)`."""
    return Parameter(name, "float", low, high, log, when=_when(when))


def integer(name: str, low: int, high: int, *, log: bool = False, when: Any = None) -> Parameter:
    """An int, both ends included."""
    return Parameter(name, "int", low, high, log, when=_when(when))


def choice(name: str, options: Sequence[Value], *, when: Any = None) -> Parameter:
    """One of unordered options."""
    return Parameter(name, "choice", options=tuple(options), when=_when(when))


def _when(when: Any) -> tuple[str, tuple[Value, ...]] | None:
    if when is None:
        return None
    parent, values = when
    return parent, tuple(values) if isinstance(values, list | tuple | range) else (values,)


@dataclass(frozen=True, slots=True)
class Limit:
    """An input constraint: the sum of weight x parameter, or the product of the parameters, is at most `upper`."""

    kind: Literal["sum", "product"]
    weights: tuple[tuple[str, float], ...]
    upper: float

    def value(self, config: Mapping[str, Any]) -> float:
        """The left-hand side; absent parameters count as 0 in a sum, 1 in a product."""
        if self.kind == "sum":
            return float(sum(weight * config.get(name, 0.0) for name, weight in self.weights))
        return float(math.prod(config.get(name, 1.0) for name, _ in self.weights))

    def kept(self, config: Mapping[str, Any]) -> bool:
        return self.value(config) <= self.upper * (1 + 1e-9)  # a sum that is meant to be 1 may come out as 1 + 2e-16


class Space(Sequence[Parameter]):
    """Parameters in order, parents before their children."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = tuple(parameters)

    def __getitem__(self, index: Any) -> Any:
        return self._parameters[index]

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters)

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self]

    def clean(self, config: Mapping[str, Any]) -> Config:
        """The active parameters alone, as plain values; raises BadConfigError for one that is missing or outside."""
        kept: Config = {}
        for parameter in self:
            if parameter.active(kept):
                if parameter.name not in config:
                    raise BadConfigError(f"{parameter.name}: is active and missing")
                kept[parameter.name] = parameter.checked(config[parameter.name])
        return kept

    def decode(self, units: Sequence[float]) -> Config:
        """The configuration at a point of the unit cube; coordinates of inactive parameters are ignored."""
        config: Config = {}
        for parameter, unit in zip(self, units, strict=True):
            if parameter.active(config):
                config[parameter.name] = parameter.from_unit(unit)
        return config

    def sample(self, rng: random.Random) -> Config:
        """A configuration whose coordinates are uniform in the unit cube."""
        return self.decode([rng.random() for _ in self])

    def features(self, config: Mapping[str, Any]) -> list[float]:
        """Numbers for a regression: unit numbers, one-hot options; .5 and zeros where a parameter is absent."""
        row: list[float] = []
        for parameter in self:
            here = parameter.name in config
            if parameter.kind == "choice":
                row += [float(here and config[parameter.name] == option) for option in parameter.options]
            else:
                row.append(parameter.to_unit(config[parameter.name]) if here else 0.5)
        return row

    def to_data(self) -> list[dict[str, Any]]:
        return [asdict(parameter) for parameter in self]

    @classmethod
    def from_data(cls, data: Sequence[Mapping[str, Any]]) -> Space:
        return cls([_parameter(entry) for entry in data])


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    when = entry.get("when")
    return Parameter(
        name=entry["name"],
        kind=entry["kind"],
        low=entry["low"],
        high=entry["high"],
        log=entry["log"],
        options=tuple(entry["options"]),
        when=(when[0], tuple(when[1])) if when else None,
    )


def limits_from_data(data: Sequence[Mapping[str, Any]]) -> list[Limit]:
    """The counterpart of `[asdict(limit) for limit in limits]`."""
    return [Limit(d["kind"], tuple((name, weight) for name, weight in d["weights"]), d["upper"]) for d in data]
