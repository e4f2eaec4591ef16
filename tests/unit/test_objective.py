"""Objectives: the one place where a sign is flipped, and every bad goal refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretune.errors import ObjectiveError
from paretune.objective import Objective, Objectives

MIXED = Objectives.from_dict(
    {
        "error": {"goal": "minimize", "reference": 0.5},
        "accuracy": {"goal": "maximize", "reference": 0.6, "limit": 0.7},
        "latency_ms": "minimize",
    }
)


def test_signs_by_hand() -> None:
    metrics = {"error": 0.2, "accuracy": 0.8, "latency_ms": 3.0, "epoch": 4.0}
    np.testing.assert_array_equal(MIXED.minimized(metrics), [0.2, -0.8, 3.0])
    np.testing.assert_array_equal(MIXED.reference_point(), [0.5, -0.6, math.nan])
    np.testing.assert_array_equal(MIXED.limits(), [math.inf, -0.7, math.inf])
    assert MIXED.natural([0.2, -0.8, 3.0]) == {"error": 0.2, "accuracy": 0.8, "latency_ms": 3.0}


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3))
def test_there_and_back_is_exact(values: list[float]) -> None:
    metrics = dict(zip(MIXED.names, values, strict=True))
    assert MIXED.natural(MIXED.minimized(metrics)) == metrics


def test_limits_hold_in_the_metrics_own_direction() -> None:
    metrics = {"error": 0.2, "latency_ms": 3.0}
    assert MIXED.feasible({**metrics, "accuracy": 0.7})
    assert not MIXED.feasible({**metrics, "accuracy": 0.69})
    below = Objectives.from_dict({"latency_ms": {"goal": "minimize", "limit": 5}})
    assert below.feasible({"latency_ms": 5.0})
    assert not below.feasible({"latency_ms": 5.1})


def test_missing_objectives_are_named() -> None:
    assert MIXED.missing({"error": 0.1, "loss": 2.0}) == ["accuracy", "latency_ms"]


def test_plain_form_round_trip() -> None:
    assert Objectives.from_dict(MIXED.to_dict()) == MIXED
    assert MIXED.to_dict()["latency_ms"] == "minimize"
    assert Objectives.from_dict({"a": Objective("a", "minimize")})[0].goal == "minimize"


BAD: list[tuple[Any, str, str | None]] = [
    ({}, "a study needs at least one objective", "objectives: {val_error: minimize}"),
    (["error"], "objectives must map a metric to its goal, got ['error']", "objectives: {val_error: minimize}"),
    ({"error": None}, "error: goal must be minimize or maximize, got None", "{error: minimize}"),
    ({"error": {}}, "error: goal must be minimize or maximize, got None", "{error: minimize}"),
    ({"error": "min"}, "error: goal must be minimize or maximize, got 'min'", "minimize"),
    ({"error": "minimise"}, "error: goal must be minimize or maximize, got 'minimise'", "did you mean 'minimize'?"),
    ({"error": ["minimize"]}, "error: goal must be minimize or maximize, got ['minimize']", None),
    ({"error": {"goal": "minimize", "refernce": 1}}, "error: unknown key 'refernce'", "did you mean 'reference'?"),
    ({"error": {"goal": "minimize", "limit": "1"}}, "error: limit must be a finite number, got '1'", None),
    ({"error": {"goal": "minimize", "reference": math.inf}}, "error: reference must be a finite number, got inf", None),
    ({"error": {"goal": "minimize", "reference": True}}, "error: reference must be a finite number, got True", None),
    ({"": "minimize"}, "an objective's name must be a non-empty string, got ''", None),
    ({3: "minimize"}, "an objective's name must be a non-empty string, got 3", None),
    ({"loss": Objective("error", "minimize")}, "loss: holds an objective called 'error'", None),
]


@pytest.mark.parametrize(("data", "message", "hint"), BAD, ids=[message for _, message, _ in BAD])
def test_bad_objectives_say_what_must_hold(data: Any, message: str, hint: str | None) -> None:
    with pytest.raises(ObjectiveError) as caught:
        Objectives.from_dict(data)
    assert caught.value.message == message
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint


def test_the_same_objective_twice_is_refused() -> None:
    with pytest.raises(ObjectiveError, match="error: stands twice"):
        Objectives([Objective("error", "minimize"), Objective("error", "maximize")])
