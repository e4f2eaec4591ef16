"""The cube in bulk does what the space does with one configuration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.encoding import Encoding
from paretune.space import Choice, Float, Int, Parameter, Space, Value

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "dropout": Float(0.0, 0.5, step=0.1),
        "layers": Int(1, 4),
        "width": Int(1, 500, log=True),
        "batch": Int(8, 256, step="power2"),
        "size": Choice(["s", "m", "l"], ordered=True),
        "flag": Choice([True, False]),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        "variant": Choice(["a", "b", "c"], when={"flag": True}),
        "deep": Int(1, 90, when={"variant": ["a", "c"], "layers": [2, 4]}),
        "tail": Float(0, 1, when={"width": [1, 500]}),
    }
)
CUBE = Cube(Encoding(SPACE))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_points_in_bulk_are_the_configurations_they_decode_to(seed: int) -> None:
    X_td = np.random.default_rng(seed).random((20, len(SPACE)))
    X_td[:5, list(SPACE).index("width")] = [0, 0, 1, 1, 1]  # where `tail` is there
    configs = [SPACE.decode(x_d) for x_d in X_td]
    legal_td = CUBE.legal(X_td)
    assert [SPACE.decode(x_d) for x_d in legal_td] == configs
    assert legal_td == pytest.approx(np.array([SPACE.encode(config) for config in configs]), abs=1e-9)
    assert CUBE.columns(legal_td) == pytest.approx(CUBE.encoding.features(configs), abs=1e-9)
    assert CUBE.active(legal_td).tolist() == [[name in config for name in SPACE] for config in configs]
    assert CUBE.legal(legal_td) == pytest.approx(legal_td, abs=1e-12)


def test_equal_configurations_have_equal_keys() -> None:
    X_td = np.random.default_rng(0).random((400, 3))
    space = Space({"a": Int(1, 5), "b": Choice(["x", "y"]), "c": Float(0, 1, when={"b": "x"})})
    cube = Cube(Encoding(space))
    legal_td = cube.legal(X_td)
    again_td = np.array([space.encode(space.decode(x_d)) for x_d in X_td])
    assert cube.keys(legal_td) == cube.keys(again_td)
    distinct = {space.key(space.decode(x_d)) for x_d in X_td}
    assert len(set(cube.keys(legal_td))) == len(distinct)


def test_a_gradient_moves_no_parameter_that_switches_another() -> None:
    space = Space({"depth": Int(1, 50), "width": Int(1, 50), "skip": Float(0, 1, when={"depth": 50})})
    assert Cube(Encoding(space)).movable_d.tolist() == [False, True, True]


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
        (Float(0, 1), 0.5, []),
    ],
)
def test_neighbours_are_one_step_away(parameter: Parameter, value: Value, expected: list[Value]) -> None:
    space = Space({"p": parameter})
    found = Cube(Encoding(space)).neighbours(space.encode({"p": value}))
    assert [space.decode(x_d)["p"] for x_d in found] == expected


def test_what_is_absent_has_no_neighbours() -> None:
    x_d = SPACE.encode({**SPACE.decode(np.full(len(SPACE), 0.99)), "flag": False})
    moved = {
        name
        for neighbour in CUBE.neighbours(CUBE.legal(x_d[None])[0])
        for name, a, b in zip(SPACE, neighbour, x_d, strict=True)
        if a != b
    }
    assert "variant" not in moved
    assert {"layers", "flag", "optimizer"} <= moved
