"""One typed column per parameter, and the way of a value into it and exactly back.

Float          double
Int            int64, text beyond 64 bits
Choice         string | int64 | double | bool when all options are of that type, else text
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from paretune.parameters import Choice, Config, Float, Int, Parameter, Value
from paretune.space import Space

_TYPES: dict[type, pa.DataType] = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


@dataclass(frozen=True, slots=True)
class Column:
    """Where a parameter's values are kept."""

    name: str
    type: pa.DataType
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Value]


class ConfigColumns:
    """The columns of a space; an absent parameter is a null, and no parameter's own value is."""

    def __init__(self, space: Space) -> None:
        names = _column_names(space)
        self._columns = {parameter: _column(names[parameter], space[parameter]) for parameter in space}
        self.type = pa.struct([pa.field(column.name, column.type) for column in self._columns.values()])

    def encode(self, config: Config) -> dict[str, Any]:
        """A struct's fields. Raises KeyError for a parameter or an option that the space does not have."""
        return {self._columns[name].name: self._columns[name].encode(value) for name, value in config.items()}

    def decode(self, fields: Mapping[str, Any]) -> dict[str, Value]:
        """The configuration that `encode` was given, its parameters in the order of the space."""
        return {
            name: column.decode(fields[column.name])
            for name, column in self._columns.items()
            if fields[column.name] is not None
        }


def _column_names(space: Space) -> dict[str, str]:
    """Parameters' own names, but for those that differ in case alone: Delta's columns may not."""
    names: dict[str, str] = {}
    taken = {parameter.lower() for parameter in space}
    seen: set[str] = set()
    for parameter in space:
        name, count = parameter, 1
        while name.lower() in seen or (name != parameter and name.lower() in taken):
            count += 1
            name = f"{parameter}_{count}"
        seen.add(name.lower())
        names[parameter] = name
    return names


def _column(name: str, parameter: Parameter) -> Column:
    if isinstance(parameter, Float):
        return Column(name, pa.float64(), _itself, _itself)
    if isinstance(parameter, Int):
        if _fits(parameter.low) and _fits(parameter.high):
            return Column(name, pa.int64(), _itself, _itself)
        return Column(name, pa.string(), str, int)
    kinds = {type(option) for option in parameter.options}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind not in _TYPES or not all(_fits(option) for option in parameter.options):
        return _text_column(name, parameter)
    return Column(name, _TYPES[kind], _itself, _itself)


def _text_column(name: str, choice: Choice) -> Column:
    """Options of several types by their text: plain where that is unambiguous, as JSON where it is not."""
    texts = [option if isinstance(option, str) else json.dumps(option) for option in choice.options]
    if len(set(texts)) < len(texts):
        texts = [json.dumps(option) for option in choice.options]
    options = dict(zip(texts, choice.options, strict=True))
    text_of = {(type(option), option): text for text, option in options.items()}
    return Column(name, pa.string(), lambda value: text_of[type(value), value], options.__getitem__)


def _itself(value: Any) -> Any:
    return value


def _fits(value: Value) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63
