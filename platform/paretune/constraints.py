"""Constraints between parameters: inequalities and equations such as `batch_size * accumulate <= 4096`.

    text        "lr_a + 2 * lr_b <= 1"      what a user writes: numbers, names, + - * /, parentheses, one comparison
    expression  what is computed: numbers, names and `Operation`s, on plain numbers as on arrays and tensors

A name that is no Python identifier stands in quotes: `'weight-decay' <= 0.1 * lr`. A constraint that names an absent
parameter does not apply.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

from paretune.errors import SpaceError, nearest
from paretune.parameters import Choice, Config, Float, Parameter

Relation: TypeAlias = Literal["<=", ">=", "<", ">", "=="]

_LONGEST = 1000  # characters: Python's parser recurses, and nobody reads a longer one
ROUNDING = 1e-11
"""Of the size of what is compared: values are kept to 12 significant digits, so that a point on a boundary may come out
5e-13 beyond it. Whole numbers are compared exactly."""

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_RELATIONS: dict[type[ast.cmpop], Relation] = {ast.LtE: "<=", ast.GtE: ">=", ast.Lt: "<", ast.Gt: ">", ast.Eq: "=="}
_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
_GRAMMAR = "a constraint is made of numbers, parameter names, + - * /, parentheses and one of <= >= < > =="


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter's value."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions joined by one of + - * /."""

    symbol: str
    left: Expression
    right: Expression


Expression: TypeAlias = int | float | Name | Operation


@dataclass(frozen=True, slots=True)
class Constraint:
    """What must hold between the parameters `names`; `text` is its one spelling.

    `positive` says that both sides are, over the whole space: their logarithms may be compared instead.
    """

    text: str
    relation: Relation
    left: Expression
    right: Expression
    names: tuple[str, ...]
    positive: bool

    def __str__(self) -> str:
        return self.text

    def applies(self, config: Config) -> bool:
        """Whether every parameter it names is there."""
        return all(name in config for name in self.names)

    def holds(self, config: Config) -> bool:
        """Whether it holds or does not apply; where it would divide by zero it does not hold."""
        try:
            return not self.applies(config) or bool(self.kept(config))
        except ArithmeticError:
            return False

    def kept(self, values: Mapping[str, Any], rounding: float = ROUNDING) -> Any:
        """Whether it holds for numbers, or element by element for arrays of them, up to `rounding` of their size."""
        excess = self.excess(values)
        slack = 0 if isinstance(excess, int) else rounding * self.size(values)
        return excess < -slack if self.relation in ("<", ">") else excess <= slack

    def excess(self, values: Mapping[str, Any]) -> Any:
        """By how much it is broken: positive where it is, negative where there is room; numbers, arrays or tensors."""
        difference = evaluate(self.left, values) - evaluate(self.right, values)
        if self.relation == "==":
            return abs(difference)
        return difference if self.relation in ("<=", "<") else -difference

    def size(self, values: Mapping[str, Any]) -> Any:
        """The size of the numbers that are compared, before any cancel: what rounding is relative to."""
        return _size(self.left, values) + _size(self.right, values)


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """The expression's value, in the arithmetic of `values`."""
    if isinstance(expression, Operation):
        return _COMPUTE[expression.symbol](evaluate(expression.left, values), evaluate(expression.right, values))
    return values[expression.name] if isinstance(expression, Name) else expression


def parse(text: object, parameters: Mapping[str, Parameter]) -> Constraint:
    """Read a constraint between `parameters`; raises SpaceError that names the position of what it cannot be."""
    if not isinstance(text, str):
        raise SpaceError(f"a constraint must be text, got {text!r}", hint='"batch_size * accumulate <= 4096"')
    reader = _Reader(" ".join(text.split()), parameters)
    constraint = reader.read()
    _check_equality(constraint, parameters)
    return constraint


class _Reader:
    """Turns one text into a constraint, by way of Python's own syntax tree."""

    def __init__(self, text: str, parameters: Mapping[str, Parameter]) -> None:
        self._text, self._parameters = text, parameters
        self._names: dict[str, None] = {}

    def read(self) -> Constraint:
        body = self._tree()
        if not isinstance(body, ast.Compare):
            raise self._wrong("must compare two sides", body)
        if len(body.ops) > 1:
            raise self._wrong("must compare once", body.comparators[1], hint="write two constraints")
        relation = _RELATIONS.get(type(body.ops[0]))
        if relation is None:
            raise self._wrong("must compare by one of <= >= < > ==", body)
        left, right = self._expression(body.left), self._expression(body.comparators[0])
        if not self._names:
            raise SpaceError(f"constraint {self._text!r}: must name a parameter", hint=nearest("", self._parameters))
        low, high = self._interval(left), self._interval(right)
        self._check_possible(relation, low, high)
        return Constraint(
            ast.unparse(body), relation, left, right, tuple(self._names), positive=min(low[0], high[0]) > 0
        )

    def _tree(self) -> ast.expr:
        where = f"constraint {self._text!r}"
        if not self._text or len(self._text) > _LONGEST:
            raise SpaceError(f"{where}: must have 1 to {_LONGEST} characters, got {len(self._text)}", hint=_GRAMMAR)
        try:
            return ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            raise SpaceError(
                f"{where}: cannot be read at position {error.offset or len(self._text)}",
                hint=f"{_GRAMMAR}; a name that is no identifier stands in quotes",
            ) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise SpaceError(f"{where}: cannot be read: {error}", hint=_GRAMMAR) from None

    def _expression(self, node: ast.expr) -> Expression:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return Operation(_OPERATORS[type(node.op)], self._expression(node.left), self._expression(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._expression(node.operand)
            return Operation("-" if isinstance(node.op, ast.USub) else "+", 0, inner)
        if isinstance(node, ast.Constant) and _is_number(node.value):
            return node.value
        name = _name(node)
        if name is None:
            raise self._wrong("must hold only numbers, names, + - * / and parentheses", node)
        return self._parameter(name, node)

    def _parameter(self, name: str, node: ast.expr) -> Name:
        if name not in self._parameters:
            raise self._wrong(f"{name!r} is no parameter", node, hint=nearest(name, self._parameters))
        parameter = self._parameters[name]
        if isinstance(parameter, Choice) and not all(map(_is_number, parameter.options)):
            raise self._wrong(
                f"{name!r} must be a number, its options are {list(parameter.options)}",
                node,
                hint="a parameter may be present `when` another has a value",
            )
        self._names[name] = None
        return Name(name)

    def _interval(self, expression: Expression) -> tuple[float, float]:
        """Bounds of an expression's value over the space; raises SpaceError where it may divide by zero."""
        if isinstance(expression, Name):
            parameter = self._parameters[expression.name]
            ends = parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)
            return min(ends), max(ends)  # type: ignore[type-var, return-value]  # options are numbers: see _parameter
        if not isinstance(expression, Operation):
            return expression, expression
        (a, b), (c, d) = self._interval(expression.left), self._interval(expression.right)
        if expression.symbol == "+":
            return a + c, b + d
        if expression.symbol == "-":
            return a - d, b - c
        if expression.symbol == "/" and c <= 0 <= d:
            raise SpaceError(
                f"constraint {self._text!r}: must not divide by what may be zero: {_spell(expression.right)}",
                hint="multiply both sides by it",
            )
        corners = [_COMPUTE[expression.symbol](x, y) for x in (a, b) for y in (c, d)]
        return min(corners), max(corners)

    def _check_possible(self, relation: Relation, left: tuple[float, float], right: tuple[float, float]) -> None:
        beyond = left[0] > right[1] if relation in ("<=", "<", "==") else left[1] < right[0]
        if beyond or (relation == "==" and left[1] < right[0]):
            sides = [f"in [{low:g}, {high:g}]" if low < high else f"{low:g}" for low, high in (left, right)]
            raise SpaceError(
                f"constraint {self._text!r}: can never hold: its left side is {sides[0]}, its right side is {sides[1]}",
                hint="loosen it, or widen the parameters it names",
            )

    def _wrong(self, what: str, node: ast.expr, *, hint: str | None = _GRAMMAR) -> SpaceError:
        position = len(self._text.encode()[: node.col_offset].decode()) + 1
        found = ast.get_source_segment(self._text, node)
        return SpaceError(f"constraint {self._text!r}: {what}, got {found} at position {position}", hint=hint)


def _check_equality(constraint: Constraint, parameters: Mapping[str, Parameter]) -> None:
    for name in constraint.names if constraint.relation == "==" else ():
        parameter = parameters[name]
        if isinstance(parameter, Float) and parameter.step is None:
            raise SpaceError(
                f"constraint {constraint.text!r}: == needs integers and choices, {name!r} is a float, which equals a "
                "given value with probability zero",
                hint=f"leave one parameter out and compute it in the training function, or give {name} a step",
            )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _name(node: ast.expr) -> str | None:
    """`lr`, `model.lr` or a name in quotes."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Attribute):
        owner = _name(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def _spell(expression: Expression) -> str:
    if isinstance(expression, Operation):
        return f"({_spell(expression.left)} {expression.symbol} {_spell(expression.right)})"
    return expression.name if isinstance(expression, Name) else f"{expression:g}"


def _size(expression: Expression, values: Mapping[str, Any]) -> Any:
    if isinstance(expression, Operation):
        symbol = "+" if expression.symbol == "-" else expression.symbol
        return _COMPUTE[symbol](_size(expression.left, values), _size(expression.right, values))
    return abs(evaluate(expression, values))
