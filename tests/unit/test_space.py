"""Spaces: configurations <-> the unit cube <-> YAML <-> Optuna, conditions, and every bad definition refused."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paretune._yaml import Loader
from paretune.errors import SpaceError
from paretune.parameters import Choice, Float, Int
from paretune.space import INACTIVE, Space
from strategies import points, spaces, spaces_and_points

NESTED = Space(
    {
        "optimizer": Choice(["adamw", "sgd"]),
        "nesterov": Choice([True, False], when={"optimizer": "sgd"}),
        "momentum": Float(0.5, 0.99, when={"nesterov": True}),
        "layers": Int(1, 3),
        "width": Int(8, 64, step="power2", when={"layers": [2, 3], "optimizer": "adamw"}),
    }
)


# -- the unit cube -----------------------------------------------------------------------------------------------------


@given(spaces_and_points())
def test_decode_is_total_and_legal(given_: tuple[Space, list[float]]) -> None:
    space, x_d = given_
    config = space.decode(x_d)
    space.check(config)


@given(spaces_and_points())
def test_config_to_cube_and_back_is_exact(given_: tuple[Space, list[float]]) -> None:
    space, x_d = given_
    config = space.decode(x_d)
    encoded = space.encode(config)
    assert space.key(space.decode(encoded)) == space.key(config)
    np.testing.assert_array_equal(space.encode(space.decode(encoded)), encoded)


@given(spaces_and_points())
def test_integers_stay_integers_and_inactive_parameters_are_absent(given_: tuple[Space, list[float]]) -> None:
    space, x_d = given_
    config = space.decode(x_d)
    for name, parameter in space.items():
        assert (name in config) == space.is_active(name, config)
        if name in config and isinstance(parameter, Int):
            assert type(config[name]) is int


@given(st.data())
def test_inactive_coordinates_never_matter(data: st.DataObject) -> None:
    space = data.draw(spaces())
    a, b = data.draw(points(space)), data.draw(points(space))
    config = space.decode(a)
    mixed = [mine if name in config else other for name, mine, other in zip(space, a, b, strict=True)]
    assert space.key(space.decode(mixed)) == space.key(config)
    encoded = space.encode(config)
    assert all(encoded[i] == INACTIVE for i, name in enumerate(space) if name not in config)


def test_a_uniform_grid_gives_every_discrete_configuration_equally_often() -> None:
    space = Space({"a": Choice(["x", "y", "z"]), "b": Int(1, 4), "c": Int(1, 8, step="power2")})
    axis = (np.arange(12) + 0.5) / 12
    counted = Counter(space.key(space.decode(point)) for point in itertools.product(axis, axis, axis))
    assert len(counted) == 3 * 4 * 4 == space.cardinality
    assert set(counted.values()) == {12**3 // 48}


def test_nested_conditions_by_hand() -> None:
    # optimizer sgd (.75), nesterov True (.25), momentum (.5), layers 2 (.5): width needs adamw
    assert NESTED.decode([0.75, 0.25, 0.5, 0.5, 0.9]) == {
        "optimizer": "sgd",
        "nesterov": True,
        "momentum": 0.745,
        "layers": 2,
    }
    assert NESTED.decode([0.25, 0.25, 0.5, 0.5, 0.99]) == {"optimizer": "adamw", "layers": 2, "width": 64}
    assert NESTED.decode([0.25, 0.25, 0.5, 0.1, 0.99]) == {"optimizer": "adamw", "layers": 1}
    assert NESTED.conditional
    np.testing.assert_array_equal(NESTED.encode({"optimizer": "adamw", "layers": 1}), [0.25, 0.5, 0.5, 1 / 6, 0.5])


def test_true_is_not_one_in_a_condition() -> None:
    space = Space({"mode": Choice([1, True]), "x": Float(0, 1, when={"mode": True})})
    assert space.decode([0.25, 0.3]) == {"mode": 1}
    assert space.decode([0.75, 0.3]) == {"mode": True, "x": 0.3}


def test_a_point_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"a point needs shape \(5,\), got \(2,\)"):
        NESTED.decode([0.1, 0.2])


def test_a_point_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"a point must be finite"):
        NESTED.decode([math.nan] * 5)


# -- configurations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"optimizer": "sgd", "nesterov": False, "layers": 1, "lr": 1}, "lr: no such parameter"),
        ({"optimizer": "sgd", "nesterov": False}, "layers: missing"),
        ({"optimizer": "adamw", "layers": 1, "momentum": 0.9}, "momentum: given, but present only when nesterov in"),
        ({"optimizer": "adamw", "layers": 9}, r"layers: value must be in \[1, 3\], got 9"),
    ],
)
def test_foreign_configurations_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        NESTED.check(config)


def test_defaults_fill_what_is_active() -> None:
    space = Space(
        {
            "optimizer": Choice(["adamw", "sgd"], default="sgd"),
            "momentum": Float(0.5, 0.9, when={"optimizer": "sgd"}),
            "beta": Float(0, 1, default=0.9, when={"optimizer": "adamw"}),
        }
    )
    assert space.default() == {"optimizer": "sgd", "momentum": 0.7}
    assert NESTED.default() is None


def test_keys_tell_duplicates_from_look_alikes() -> None:
    space = Space({"a": Choice([1, 1.0, True])})
    assert len({space.key({"a": option}) for option in (1, 1.0, True)}) == 3
    assert space.key({"a": 1}) == space.key({"a": 1})


# -- YAML --------------------------------------------------------------------------------------------------------------


@given(spaces())
def test_yaml_round_trip_is_exact(space: Space) -> None:
    text = yaml.safe_dump(space.to_dict(), sort_keys=False)
    again = Space.from_dict(yaml.load(text, Loader=Loader))
    assert again == space
    assert repr(again) == repr(space)


def test_plain_form_is_what_a_person_would_write() -> None:
    assert NESTED.to_dict()["width"] == {
        "type": "int",
        "low": 8,
        "high": 64,
        "step": "power2",
        "when": {"layers": [2, 3], "optimizer": "adamw"},
    }


def test_equality_sees_order_and_types() -> None:
    a, b = Float(0, 1), Choice([1, 2])
    assert Space({"a": a, "b": b}) == Space({"a": a, "b": b})
    assert Space({"a": a, "b": b}) != Space({"b": b, "a": a})
    assert Space({"b": Choice([True])}) != Space({"b": Choice([1])})


# -- Optuna ------------------------------------------------------------------------------------------------------------


@given(spaces_and_points())
def test_optuna_holds_the_same_values(given_: tuple[Space, list[float]]) -> None:
    space, x_d = given_
    config, distributions = space.decode(x_d), space.to_optuna()
    for name, value in config.items():
        internal = distributions[name].to_internal_repr(value)
        assert distributions[name]._contains(internal), (name, value, distributions[name])


@given(spaces())
def test_optuna_round_trip_keeps_every_distribution(space: Space) -> None:
    distributions = space.to_optuna()
    again = Space.from_optuna(distributions)
    assert list(again) == list(space)
    assert repr(again.to_optuna()) == repr(distributions)
    for name, parameter in space.items():
        if not parameter.when and not (isinstance(parameter, Int) and parameter.step == "power2"):
            assert again[name].cardinality == parameter.cardinality


# -- bad definitions ---------------------------------------------------------------------------------------------------

FLOAT = {"type": "float", "low": 0.1, "high": 1.0}
CHOICE = {"type": "choice", "options": ["a", "b"]}

BAD: list[tuple[object, str, str | None]] = [
    ({}, "space must have at least one parameter", "lr: {type: float"),
    (["lr"], "space must map names to parameters, got list", None),
    ({"lr": 3}, "lr: must be a mapping with a type, got 3", "{type: float"),
    ({"lr": {"low": 0, "high": 1}}, "lr: type must be one of float, int, choice, got None", None),
    ({"lr": {"type": "flaot"}}, "lr: type must be one of float, int, choice, got 'flaot'", "did you mean 'float'?"),
    ({"lr": {"type": ["float"]}}, "lr: type must be one of float, int, choice, got ['float']", None),
    ({"lr": {"type": "float", "low": 0}}, "lr: high is missing", None),
    ({"lr": {**FLOAT, "hihg": 1}}, "lr: unknown key 'hihg' for a float", "did you mean 'high'?"),
    ({"lr": {**FLOAT, 3: 1}}, "lr: unknown key 3 for a float", None),
    ({"lr": {**FLOAT, "log": "yes"}}, "lr: log must be true or false, got 'yes'", None),
    ({"lr": {**FLOAT, "low": 2.0}}, "lr: low must be below high, got low 2.0 and high 1.0", "swap the two bounds"),
    ({"lr": {**FLOAT, "low": 0, "log": True}}, "lr: low must be > 0 when log is true, got 0.0", "use low: 1e-6"),
    ({"o": {"type": "choice", "options": []}}, "o: options must not be empty", None),
    ({"o": {"type": "choice"}}, "o: options is missing", None),
    ({"a": {**FLOAT, "when": {"b": "x"}}}, "a: when names 'b', which is no parameter", None),
    ({"a": {**FLOAT, "when": {"o": "a"}}, "o": CHOICE}, "a: when names 'o', which comes later", "put o before a"),
    (
        {"a": {**CHOICE, "when": {"b": "a"}}, "b": {**CHOICE, "when": {"a": "a"}}},
        "a: conditions run in a circle: a -> b -> a",
        None,
    ),
    ({"a": {**CHOICE, "when": {"a": "a"}}}, "a: conditions run in a circle: a -> a", None),
    (
        {"lr": FLOAT, "a": {**FLOAT, "when": {"lr": 0.5}}},
        "a: when names 'lr', a float, which equals a given value with probability zero",
        "a condition needs an int or a choice",
    ),
    ({"o": CHOICE, "a": {**FLOAT, "when": {"o": "c"}}}, "a: when: o: value must be one of ['a', 'b'], got 'c'", None),
    ({"": FLOAT}, "a parameter's name must be a non-empty string, got ''", None),
    ({1: FLOAT}, "a parameter's name must be a non-empty string, got 1", None),
]


@pytest.mark.parametrize(("data", "message", "hint"), BAD, ids=[message for _, message, _ in BAD])
def test_bad_spaces_say_where_what_and_how(data: Any, message: str, hint: str | None) -> None:
    with pytest.raises(SpaceError) as caught:
        Space.from_dict(data)
    assert caught.value.message == message
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint


def test_parameters_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"lr: must be a Float, Int or Choice, got tuple"):
        Space({"lr": (0, 1)})  # type: ignore[dict-item]
