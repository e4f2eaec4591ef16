"""A search space: named parameters, some present only `when` others have certain values.

    config  {"lr": 0.001, "optimizer": "adamw"}      what the user's code sees: inactive parameters are absent
    x_d     one number in [0, 1] per parameter        what algorithms see: inactive coordinates are INACTIVE

Constraints (`"batch_size * accumulate <= 4096"`) and rules (of layouts) say which configurations are legal: `decode`
knows nothing of them, `legal` and `check` do, and `legality` finds points of the cube where they hold. `encode` and
`decode` go between configurations and the cube, `to_dict` / `from_dict` between a space and its YAML form, `to_optuna`
/ `from_optuna` between a space and Optuna's distributions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paretune.beliefs import Normal
from paretune.constraints import parse
from paretune.coordinates import INACTIVE
from paretune.errors import SpaceError, nearest
from paretune.legality import Legality, Rule
from paretune.parameters import Choice, Config, Float, Int, Parameter, Value, conditions, declared, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["INACTIVE", "Choice", "Config", "Float", "Int", "Parameter", "Space", "Value"]

_KINDS: dict[str, type[Float] | type[Int] | type[Choice]] = {"float": Float, "int": Int, "choice": Choice}
_FIELDS = {
    "float": ("low", "high", "log", "step", "default", "prior", "when"),
    "int": ("low", "high", "log", "step", "default", "prior", "when"),
    "choice": ("options", "ordered", "default", "prior", "when"),
}


class Space(Mapping[str, Parameter]):
    """An ordered mapping from names to parameters whose conditions and constraints are known to be sound."""

    def __init__(
        self, parameters: Mapping[str, Parameter], constraints: Sequence[str] = (), rules: Sequence[Rule] = ()
    ) -> None:
        """Raises SpaceError for what is not sound, as constraints that nothing keeps or the defaults break."""
        if not isinstance(parameters, Mapping) or not parameters:
            raise SpaceError(
                "space must have at least one parameter",
                hint="lr: {type: float, low: 1e-5, high: 1e-2, log: true}",
            )
        self._parameters = dict(parameters)
        for name, parameter in self._parameters.items():
            if not isinstance(name, str) or not name:
                raise SpaceError(f"a parameter's name must be a non-empty string, got {name!r}")
            if not isinstance(parameter, Float | Int | Choice):
                raise SpaceError(
                    f"{name}: must be a Float, Int or Choice, got {type(parameter).__name__}",
                    hint="pt.Float(low, high), pt.Int(low, high) or pt.Choice([...])",
                )
        self._check_conditions()
        if isinstance(constraints, str) or not isinstance(constraints, Sequence):
            raise SpaceError(f"constraints must be a list, got {constraints!r}", hint='["batch * accumulate <= 4096"]')
        self.constraints = tuple(parse(text, self._parameters) for text in constraints)
        self.rules = tuple(rule for rule in rules if rule.names)
        self.legality = Legality(self._parameters, self.constraints, self.rules)
        self._check_default()

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        shown = [f"{name}={parameter!r}" for name, parameter in self.items()]
        return f"Space({', '.join([*shown, *map(str, self.constraints)])})"

    def __eq__(self, other: object) -> bool:
        """The same parameters in the same order; by repr, because 1 and True are equal but not the same option."""
        return (
            isinstance(other, Space)
            and repr(self.to_dict()) == repr(other.to_dict())
            and self.constraints == other.constraints
            and self.rules == other.rules
        )

    def __hash__(self) -> int:
        return hash(tuple(self._parameters))

    # -- conditions ------------------------------------------------------------------------------------------------

    def _check_conditions(self) -> None:
        names = list(self._parameters)
        for position, (name, parameter) in enumerate(self._parameters.items()):
            for parent, values in conditions(parameter).items():
                if parent not in self._parameters:
                    raise SpaceError(
                        f"{name}: when names {parent!r}, which is no parameter", hint=nearest(parent, names)
                    )
                if names.index(parent) >= position:
                    cycle = self._cycle(name)
                    if cycle:
                        raise SpaceError(f"{name}: conditions run in a circle: {' -> '.join(cycle)}")
                    raise SpaceError(
                        f"{name}: when names {parent!r}, which comes later",
                        hint=f"put {parent} before {name}",
                    )
                self._check_parent_values(name, parent, values)

    def _check_parent_values(self, name: str, parent: str, values: tuple[Value, ...]) -> None:
        parameter = self._parameters[parent]
        if isinstance(parameter, Float):
            raise SpaceError(
                f"{name}: when names {parent!r}, a float, which equals a given value with probability zero",
                hint="a condition needs an int or a choice",
            )
        for value in values:
            try:
                parameter.check(value)
            except SpaceError as error:
                raise SpaceError(f"{name}: when: {parent}: {error.message}", hint=error.hint) from None

    def _cycle(self, start: str) -> list[str]:
        """The way from `start` back to itself along `when`, or nothing."""
        stack: list[list[str]] = [[start]]
        while stack:
            path = stack.pop()
            for parent in self._parameters[path[-1]].when:
                if parent == start:
                    return [*path, start]
                if parent in self._parameters and parent not in path:
                    stack.append([*path, parent])
        return []

    @property
    def restricted(self) -> bool:
        """Whether any combination of values is not legal."""
        return bool(self.constraints or self.rules)

    @property
    def conditional(self) -> bool:
        """Whether any parameter is conditional."""
        return any(parameter.when for parameter in self.values())

    @cached_property
    def cardinality(self) -> float:
        """An upper bound on the number of legal configurations; infinite as soon as one parameter is continuous."""
        listed = [group for group in self.legality.groups if group.listed]
        single = set(self) - {name for group in listed for name in group.names}
        return math.prod(self[name].cardinality for name in single) * math.prod(len(g.pool_pk) for g in listed)

    def is_active(self, name: str, config: Config) -> bool:
        """Whether `name` is present beside the parameters of `config` that come before it."""
        return all(
            parent in config and any(same(config[parent], value) for value in values)
            for parent, values in conditions(self._parameters[name]).items()
        )

    # -- configurations --------------------------------------------------------------------------------------------

    def check(self, config: Config) -> None:
        """Raise SpaceError unless `config` has exactly the active parameters, with legal values, and is `legal`."""
        for name in config:
            if name not in self._parameters:
                raise SpaceError(f"{name}: no such parameter", hint=nearest(name, self._parameters))
        for name, parameter in self.items():
            active = self.is_active(name, config)
            if active != (name in config):
                state = "missing" if active else f"given, but present only when {_spell(parameter)}"
                raise SpaceError(f"{name}: {state}")
            if active:
                try:
                    parameter.check(config[name])
                except SpaceError as error:
                    raise error.located(name) from None
        for constraint in self.constraints:
            if not constraint.holds(config):
                values = ", ".join(f"{name} = {config[name]}" for name in constraint.names)
                raise SpaceError(f"constraint {constraint.text!r}: must hold, got {values}")
        for rule in self.rules:
            reason = rule.refusal(config)
            if reason is not None:
                raise SpaceError(reason)

    def legal(self, config: Config) -> bool:
        """Whether every constraint that applies holds, and every rule."""
        return all(constraint.holds(config) for constraint in self.constraints) and not any(
            rule.refusal(config) for rule in self.rules
        )

    def default(self) -> dict[str, Value] | None:
        """The default configuration, or None when no parameter has a default; middles stand in for missing ones."""
        if all(parameter.default is None for parameter in self.values()):
            return None
        return self.filled({})

    def complete(self, given: Config) -> dict[str, Value]:
        """The configuration with what `given` leaves out: defaults, and middles where there is none.

        Raises SpaceError for what is not in the space, or where the whole breaks a constraint.
        """
        config = self.filled(given)
        self.check({**given, **config})
        return config

    def filled(self, given: Config) -> dict[str, Value]:
        """The given values where they apply, defaults and middles elsewhere; constraints may be broken."""
        config: dict[str, Value] = {}
        for name, parameter in self.items():
            if self.is_active(name, config):
                middle = parameter.from_unit(0.5)
                own = middle if parameter.default is None else parameter.default
                config[name] = declared(given.get(name, own), parameter)
        return config

    def _check_default(self) -> None:
        config = self.default()
        if config is None:
            return
        try:
            self.check(config)
        except SpaceError as error:
            raise SpaceError(
                f"default configuration: {error.message}",
                hint="give the parameters it names defaults that keep it: without one, the middle is the default",
            ) from None

    def encode(self, config: Config) -> npt.NDArray[np.float64]:
        """Map a configuration to x_d in the unit cube; shape (d,), INACTIVE where a parameter is absent."""
        return np.array([p.to_unit(config[n]) if n in config else INACTIVE for n, p in self.items()])

    def decode(self, x_d: npt.ArrayLike) -> dict[str, Value]:
        """Map a point of the unit cube, shape (d,), to a configuration; inactive parameters are left out."""
        units = np.asarray(x_d, dtype=np.float64)
        if units.shape != (len(self),):
            raise SpaceError(f"a point needs shape ({len(self)},), got {units.shape}")
        if not np.all(np.isfinite(units)):
            raise SpaceError(f"a point must be finite, got {units.tolist()}")
        config: dict[str, Value] = {}
        for (name, parameter), unit in zip(self.items(), units.tolist(), strict=True):
            if self.is_active(name, config):
                config[name] = parameter.from_unit(unit)
        return config

    def key(self, config: Config) -> tuple[tuple[str, str, Value], ...]:
        """A hashable identity of a configuration, to recognise duplicates."""
        return tuple((n, type(config[n]).__name__, config[n]) for n in self if n in config)

    # -- YAML ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The space as plain data: what a spec file holds under `space:`."""
        return {name: parameter_to_dict(parameter) for name, parameter in self.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, object], constraints: Sequence[str] = ()) -> Space:
        """Build a space from plain data (or from parameters); errors name the parameter."""
        if not isinstance(data, Mapping):
            raise SpaceError(f"space must map names to parameters, got {type(data).__name__}")
        return cls({name: parameter_from_dict(name, entry) for name, entry in data.items()}, constraints)

    def constrained(self, constraints: Sequence[str]) -> Space:
        """The space with these constraints beside its own; one that stands there already is not repeated."""
        more = Space(self, constraints).constraints
        texts = [constraint.text for constraint in (*self.constraints, *more)]
        return Space(self, list(dict.fromkeys(texts)), self.rules)

    # -- Optuna ----------------------------------------------------------------------------------------------------

    def to_optuna(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of every parameter; conditions, defaults and order have no counterpart there."""
        from paretune import _optuna

        return {name: _optuna.distribution(parameter) for name, parameter in self.items()}

    @classmethod
    def from_optuna(cls, distributions: Mapping[str, BaseDistribution]) -> Space:
        """The flat space of a mapping of Optuna distributions."""
        from paretune import _optuna

        return cls({name: _optuna.parameter(distribution) for name, distribution in distributions.items()})


def _spell(parameter: Parameter) -> str:
    return " and ".join(f"{parent} in {list(values)}" for parent, values in conditions(parameter).items())


def parameter_to_dict(parameter: Parameter) -> dict[str, Any]:
    """A parameter as plain data."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(parameter, cls))
    result: dict[str, Any] = {"type": kind}
    for name in _FIELDS[kind]:
        value = getattr(parameter, name)
        if name == "when":
            value = {parent: list(v) if len(v) > 1 else v[0] for parent, v in value.items()}
        if name == "prior" and value is not None:
            value = value.to_dict() if isinstance(value, Normal) else _weights(parameter, value)
        if value is None or value is False or value == {} or (name == "step" and value == 1 and kind == "int"):
            continue
        result[name] = list(value) if name == "options" else value
    return result


def _weights(choice: Parameter, weights: Sequence[float]) -> dict[Value, float] | list[float]:
    """By option where every plain format keeps the options apart, else in their order."""
    assert isinstance(choice, Choice)
    if all(isinstance(option, str) for option in choice.options):
        return dict(zip(choice.options, weights, strict=True))
    return list(weights)


def parameter_from_dict(name: str, entry: object) -> Parameter:
    """A parameter from plain data, or itself; errors begin with the name."""
    if isinstance(entry, Float | Int | Choice):
        return entry
    if not isinstance(entry, Mapping):
        raise SpaceError(f"{name}: must be a mapping with a type, got {entry!r}", hint="{type: float, low: 0, high: 1}")
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SpaceError(f"{name}: type must be one of float, int, choice, got {kind!r}", hint=nearest(kind, _KINDS))
    fields = {key: value for key, value in entry.items() if key != "type"}
    for key in fields:
        if key not in _FIELDS[kind]:
            raise SpaceError(f"{name}: unknown key {key!r} for a {kind}", hint=nearest(key, _FIELDS[kind]))
    required = ("options",) if kind == "choice" else ("low", "high")
    for key in required:
        if key not in fields:
            raise SpaceError(f"{name}: {key} is missing")
    for flag in ("log", "ordered"):
        if not isinstance(fields.get(flag, False), bool):
            raise SpaceError(f"{name}: {flag} must be true or false, got {fields[flag]!r}")
    try:
        return _KINDS[kind](**fields)
    except SpaceError as error:
        raise error.located(name) from None
