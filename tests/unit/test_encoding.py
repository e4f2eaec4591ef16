"""Configurations as the columns a kernel sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paretune.algorithms._gp.encoding import Encoding, neighbours
from paretune.space import Choice, Float, Int, Parameter, Space, Value

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 4),
        "size": Choice(["s", "m", "l"], ordered=True),
        "flag": Choice([True, False]),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        "variant": Choice(["a", "b", "c"], when={"flag": True}),
    }
)


def test_columns_by_hand() -> None:
    encoding = Encoding(SPACE)
    config = {"lr": 1e-2, "layers": 4, "size": "m", "flag": False, "optimizer": "sgd", "momentum": 0.25}
    third = 1 / math.sqrt(2)
    expected = [0.5, 0.875, 0.5, 1.0, 0.0, third, 0.0, 0.25, 0.0, 0.0, 0.0]
    assert encoding.features([config])[0] == pytest.approx(expected)
    assert encoding.labels[4:8] == ["optimizer=adamw", "optimizer=sgd", "optimizer=lion", "momentum"]
    assert len(encoding.labels) == encoding.width == 11


def test_any_two_options_are_as_far_apart_as_the_ends_of_a_number() -> None:
    for options in (["a", "b"], ["a", "b", "c"], list("abcdef")):
        X = Encoding(Space({"c": Choice(options)})).features([{"c": option} for option in options])
        distances = np.linalg.norm(X[:, None] - X[None], axis=-1)
        assert distances[~np.eye(len(options), dtype=bool)] == pytest.approx(1.0)


def test_what_is_absent_never_matters() -> None:
    """Points that differ only in coordinates of absent parameters are one configuration, and one row."""
    rng = np.random.default_rng(0)
    encoding = Encoding(SPACE)
    base = SPACE.encode({"lr": 1e-2, "layers": 2, "size": "s", "flag": False, "optimizer": "lion"})
    points = np.tile(base, (20, 1))
    points[:, 5:] = rng.random((20, 2))
    X = encoding.features([SPACE.decode(x) for x in points])
    assert np.array_equal(X, np.tile(X[0], (20, 1)))


def test_a_gradient_moves_no_parameter_that_switches_another() -> None:
    space = Space({"depth": Int(1, 50), "width": Int(1, 50), "skip": Float(0, 1, when={"depth": 50})})
    relaxed = Encoding(space).relaxed({"depth": 50, "width": 3, "skip": 0.1})
    assert [column.name for column in relaxed] == ["width", "skip"]
    assert [column.name for column in Encoding(space).relaxed({"depth": 3, "width": 3})] == ["width"]


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Int(1, 5), 3, [2, 4]),
        (Int(1, 5), 1, [2]),
        (Int(1, 500, log=True), 500, [499]),
        (Int(8, 64, step="power2"), 16, [8, 32]),
        (Int(0, 30, step=10), 30, [20]),
        (Float(0, 1, step=0.25), 0.5, [0.25, 0.75]),
        (Choice(["s", "m", "l"], ordered=True), "s", ["m"]),
        (Choice(["a", "b", "c"]), "b", ["a", "c"]),
        (Choice(["only"]), "only", []),
    ],
)
def test_neighbours_are_one_step_away(parameter: Parameter, value: Value, expected: list[Value]) -> None:
    assert [parameter.from_unit(unit) for unit in neighbours(parameter, value)] == expected
