"""The kinds of parameter, each a bijection between its values and bins or points of the unit interval.

A parameter maps a value v to u in [0, 1] (`to_unit`) and back (`from_unit`); the way back accepts any u in [0, 1]
and always yields a legal value. Discrete values own equal bins and map to the middle of theirs, so that uniform u is
uniform over values. Continuous values are kept to 12 significant digits (of the value on a log scale, of the span on a
linear one): below that a number is noise, and it makes the round trip exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias, cast

from paretune.beliefs import Normal, within
from paretune.errors import SpaceError

Value: TypeAlias = str | int | float | bool | None
Config: TypeAlias = Mapping[str, Value]
When: TypeAlias = Mapping[str, Value | Sequence[Value]]
"""What a parameter's presence depends on: others' names, each with the value or values it needs."""

Conditions: TypeAlias = Mapping[str, tuple[Value, ...]]

_DIGITS = 12
_STEP_NOISE = 1e-6  # of a step: what binary arithmetic may have added to bounds and values that lie on the grid
_SCALARS = (str, int, float, bool, type(None))


def same(a: Value, b: Value) -> bool:
    """Equality that tells True from 1 and 1 from 1.0, which Python's `==` does not."""
    return type(a) is type(b) and a == b


def _conditions(when: When) -> Conditions:
    """`{"optimizer": "sgd"}` or `{"optimizer": ["sgd", "lion"]}` -> `{"optimizer": ("sgd", "lion")}`."""
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        raise SpaceError(
            f"when must map a parameter to a value or a list of values, got {when!r}",
            hint="when: {optimizer: sgd}",
        )
    result: dict[str, tuple[Value, ...]] = {}
    for parent, values in when.items():
        listed = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else (values,)
        if not listed or not all(isinstance(v, _SCALARS) for v in listed):
            raise SpaceError(f"when: {parent} needs a value or a list of values, got {values!r}")
        result[parent] = listed
    return result


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpaceError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _integer(name: str, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpaceError(f"{name} must be an integer, got {value!r}", hint="use type: float for real numbers")
    return value


def _ordered_bounds(low: float, high: float) -> None:
    if low == high:
        raise SpaceError(f"low and high must differ, both are {low!r}", hint="put a constant under train: config:")
    if low > high:
        raise SpaceError(f"low must be below high, got low {low!r} and high {high!r}", hint="swap the two bounds")


def _check_default(parameter: Parameter, default: Value) -> None:
    try:
        parameter.check(default)
    except SpaceError as error:
        raise error.located("default") from None


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high]; `log` spaces it by its logarithm, `step` restricts it to a grid.

    `prior` is a belief about where the best value lies.
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    prior: Normal | Mapping[str, float] | None = field(default=None, kw_only=True)
    when: When = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "low", _number("low", self.low))
        put(self, "high", _number("high", self.high))
        put(self, "when", _conditions(self.when))
        _ordered_bounds(self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(f"low must be > 0 when log is true, got {self.low}", hint="use low: 1e-6, or drop log")
        if self.step is not None:
            put(self, "step", _number("step", self.step))
            if self.log:
                raise SpaceError("step cannot be combined with log", hint="drop one of the two")
            if self.step <= 0 or self._grid < 2:
                raise SpaceError(f"step must be in (0, high - low], got {self.step}")
            if abs(self.high - self._at(self._grid - 1)) < _STEP_NOISE * self.step:
                put(self, "high", self._at(self._grid - 1))
        if self.default is not None:
            put(self, "default", _number("default", self.default))
            _check_default(self, self.default)
        if self.prior is not None:
            put(self, "prior", within(self.prior, self.low, self.high))

    @property
    def cardinality(self) -> float:
        return math.inf if self.step is None else float(self._grid)

    @property
    def _grid(self) -> int:
        """How many values there are; decimal, because 1.001 - 1 is less than 0.001 in binary."""
        low, high, step = (Decimal(repr(number)) for number in (self.low, self.high, self.step))
        return math.floor((high - low) / step + Decimal(_STEP_NOISE)) + 1

    def _at(self, index: int) -> float:
        """The value on the grid: 0.3, not 0.1 + 2 * 0.1."""
        return float(Decimal(repr(self.low)) + index * Decimal(repr(self.step)))

    def check(self, value: object) -> None:
        """Raise SpaceError unless `value` lies in the parameter."""
        number = _number("value", value)
        if not self.low <= number <= self.high:
            raise SpaceError(f"value must be in [{self.low:g}, {self.high:g}], got {number!r}")
        if self.step is not None:
            steps = (number - self.low) / self.step
            if abs(steps - round(steps)) > _STEP_NOISE:
                raise SpaceError(f"value must be on the step {self.step:g} from {self.low:g}, got {number!r}")

    def to_unit(self, value: Value) -> float:
        number = float(value)  # type: ignore[arg-type]
        if self.step is not None:
            return (round((number - self.low) / self.step) + 0.5) / self._grid
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def from_unit(self, unit: float) -> float:
        unit = min(max(unit, 0.0), 1.0)
        span = self.high - self.low
        if self.step is not None:
            index = min(math.floor(unit * self._grid), self._grid - 1)
            number = self._at(index)
        elif self.log:
            number = float(f"{self.low * math.exp(unit * math.log(self.high / self.low)):.{_DIGITS}g}")
        else:
            number = round(self.low + unit * span, _decimals(span))
        return min(max(number, self.low), self.high)


def _decimals(span: float) -> int:
    return _DIGITS - math.ceil(math.log10(span))


@dataclass(frozen=True, slots=True)
class Int:
    """An integer in [low, high]; `step` an increment or "power2" (powers of two), `log` spaced by its logarithm.

    `prior` is a belief about where the best value lies.
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int | Literal["power2"] = field(default=1, kw_only=True)
    default: int | None = field(default=None, kw_only=True)
    prior: Normal | Mapping[str, float] | None = field(default=None, kw_only=True)
    when: When = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "low", _integer("low", self.low))
        put(self, "high", _integer("high", self.high))
        put(self, "when", _conditions(self.when))
        _ordered_bounds(self.low, self.high)
        if self.log and self.low < 1:
            raise SpaceError(f"low must be >= 1 when log is true, got {self.low}", hint="use low: 1, or drop log")
        if self.step == "power2":
            self._check_powers()
        elif isinstance(self.step, str):
            raise SpaceError(f"step must be >= 1 or 'power2', got {self.step!r}")
        else:
            put(self, "step", _integer("step", self.step))
            self._check_step()
        if self.default is not None:
            put(self, "default", _integer("default", self.default))
            _check_default(self, self.default)
        if self.prior is not None:
            put(self, "prior", within(self.prior, self.low, self.high))

    def _check_powers(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if bound < 1 or bound & (bound - 1):
                raise SpaceError(f"{name} must be a power of two when step is power2, got {bound}")

    def _check_step(self) -> None:
        assert isinstance(self.step, int)
        if self.step < 1:
            raise SpaceError(f"step must be >= 1 or 'power2', got {self.step}")
        if self.step > 1 and self.log:
            raise SpaceError(f"step {self.step} cannot be combined with log", hint="use step: power2, or drop log")
        if (self.high - self.low) % self.step:
            below = self.high - (self.high - self.low) % self.step
            raise SpaceError(
                f"high must be low plus a multiple of step {self.step}, got {self.high}",
                hint=f"use high: {below}",
            )

    @property
    def cardinality(self) -> float:
        if self.step == "power2":
            return self.high.bit_length() - self.low.bit_length() + 1
        return (self.high - self.low) // self.step + 1

    @property
    def values(self) -> Sequence[int]:
        """Every legal value, in order."""
        if self.step == "power2":
            return [1 << e for e in range(self.low.bit_length() - 1, self.high.bit_length())]
        return range(self.low, self.high + 1, self.step)

    def check(self, value: object) -> None:
        """Raise SpaceError unless `value` lies in the parameter."""
        number = _integer("value", value)
        if not self.low <= number <= self.high:
            raise SpaceError(f"value must be in [{self.low}, {self.high}], got {number}")
        if number not in self.values:
            grid = "a power of two" if self.step == "power2" else f"on the step {self.step} from {self.low}"
            raise SpaceError(f"value must be {grid}, got {number}")

    def to_unit(self, value: Value) -> float:
        number = int(value)  # type: ignore[arg-type]
        if self.log and self.step == 1:
            low, high = self.low - 0.5, self.high + 0.5
            return math.log(number / low) / math.log(high / low)
        return (self.values.index(number) + 0.5) / self.cardinality

    def from_unit(self, unit: float) -> int:
        unit = min(max(unit, 0.0), 1.0)
        if self.log and self.step == 1:
            low, high = self.low - 0.5, self.high + 0.5
            return min(max(round(low * math.exp(unit * math.log(high / low))), self.low), self.high)
        return self.values[min(math.floor(unit * self.cardinality), int(self.cardinality) - 1)]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a list of options; `ordered` says that neighbours in the list are alike.

    `prior` weighs the options by how likely each is the best: a mapping, in which an option left out weighs 1, or a
    list of as many weights.
    """

    options: Sequence[Value]
    ordered: bool = field(default=False, kw_only=True)
    default: Value = field(default=None, kw_only=True)
    prior: Mapping[Any, float] | Sequence[float] | None = field(default=None, kw_only=True)
    when: When = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if isinstance(self.options, str) or not isinstance(self.options, Sequence):
            raise SpaceError(f"options must be a list, got {self.options!r}", hint="options: [adamw, sgd]")
        put(self, "options", tuple(self.options))
        put(self, "when", _conditions(self.when))
        if not self.options:
            raise SpaceError("options must not be empty", hint="options: [adamw, sgd]")
        for i, option in enumerate(self.options):
            if not isinstance(option, _SCALARS):
                raise SpaceError(
                    f"options must be strings, numbers, booleans or null, got {option!r}",
                    hint="name the option by a string and look it up in the training function",
                )
            if isinstance(option, float) and not math.isfinite(option):
                raise SpaceError(f"options must be finite, got {option!r}", hint="name it by a string")
            if any(same(option, other) for other in self.options[:i]):
                raise SpaceError(f"options must be different, {option!r} stands twice")
        if self.default is not None:
            _check_default(self, self.default)
        if self.prior is not None:
            put(self, "prior", self._weights(self.prior))

    def _weights(self, given: object) -> tuple[float, ...]:
        """One weight for each option."""
        if isinstance(given, Mapping):
            for option in given:
                if not any(same(option, own) for own in self.options):
                    raise SpaceError(f"prior must name options of {list(self.options)}, got {option!r}")
            weights = [next((w for name, w in given.items() if same(name, own)), 1.0) for own in self.options]
        elif isinstance(given, Sequence) and not isinstance(given, str) and len(given) == len(self.options):
            weights = list(given)
        else:
            raise SpaceError(f"prior must map options to weights, got {given!r}", hint="prior: {adamw: 3, sgd: 1}")
        numbers = tuple(_number("prior", weight) for weight in weights)
        if min(numbers) <= 0:
            raise SpaceError(f"prior must be > 0 for each option, got {min(numbers):g}", hint="or leave the option out")
        return numbers

    @property
    def cardinality(self) -> float:
        return len(self.options)

    def check(self, value: object) -> None:
        """Raise SpaceError unless `value` is one of the options."""
        if not any(same(value, option) for option in self.options):  # type: ignore[arg-type]
            raise SpaceError(f"value must be one of {list(self.options)}, got {value!r}")

    def to_unit(self, value: Value) -> float:
        index = next(i for i, option in enumerate(self.options) if same(value, option))
        return (index + 0.5) / len(self.options)

    def from_unit(self, unit: float) -> Value:
        return self.options[min(math.floor(min(max(unit, 0.0), 1.0) * len(self.options)), len(self.options) - 1)]


Parameter: TypeAlias = Float | Int | Choice


def conditions(parameter: Parameter) -> Conditions:
    """What the parameter's presence depends on, every value listed in a tuple."""
    return cast(Conditions, parameter.when)  # so made in __post_init__


def declared(value: Value, parameter: Parameter | None) -> Value:
    """The value with 1.0 for 1 where a float is declared, and 1 for 1.0 where an int is.

    Equal configurations then have equal identities.
    """
    if isinstance(parameter, Float) and type(value) is int:
        return float(value)
    if isinstance(parameter, Int) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
