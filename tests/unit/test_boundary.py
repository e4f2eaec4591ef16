"""What a report may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from paretune.engine import boundary
from paretune.errors import ReportError
from paretune.objective import Objectives

OBJECTIVES = Objectives.from_dict({"error": "minimize", "speed": "maximize"})


def test_every_kind_of_number_becomes_a_float() -> None:
    metrics = {
        "error": torch.tensor(0.5),
        "speed": np.float32(2.0),
        "rounds": 3,
        "good": True,
        "lr": {"head": np.array([0.1]), "body": {"first": 0.01}},
        "note": "text",
        "histogram": np.zeros(3),
        "nothing": None,
    }
    numbers, why = boundary.accept(metrics, OBJECTIVES)
    assert why is None
    assert numbers == {"error": 0.5, "speed": 2.0, "rounds": 3.0, "good": 1.0, "lr/head": 0.1, "lr/body/first": 0.01}
    assert {type(value) for value in numbers.values()} == {float}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_ends_the_trial(bad: float) -> None:
    numbers, why = boundary.accept({"error": bad, "speed": 1.0}, OBJECTIVES)
    assert why == f"error is {bad}"
    assert numbers["speed"] == 1.0


def test_other_metrics_may_be_infinite() -> None:
    numbers, why = boundary.accept({"error": 1.0, "speed": 1.0, "best_so_far": math.inf}, OBJECTIVES)
    assert why is None
    assert numbers["best_so_far"] == math.inf


def test_a_missing_objective_is_named_beside_what_was_reported() -> None:
    with pytest.raises(ReportError, match="speed missing, got eror, error"):
        boundary.accept({"error": 1.0, "eror": 2.0}, OBJECTIVES)
    with pytest.raises(ReportError, match="error, speed missing, got none"):
        boundary.accept({}, OBJECTIVES)
    with pytest.raises(ReportError, match="got speed='fast'"):
        boundary.accept({"error": 1.0, "speed": "fast"}, OBJECTIVES)
    with pytest.raises(ReportError, match="must be a mapping, got list"):
        boundary.accept([1.0], OBJECTIVES)  # type: ignore[arg-type]


def test_a_resource_that_was_named_must_be_reported() -> None:
    numbers, _ = boundary.accept({"error": 1.0, "speed": 1.0, "tokens": 5e6}, OBJECTIVES, "tokens")
    assert boundary.resource(numbers, 1, "tokens") == 5e6
    for tokens in ({}, {"tokens": math.nan}, {"tokens": "many"}):
        with pytest.raises(ReportError, match="must have a finite tokens, the scheduler's resource") as caught:
            boundary.accept({"error": 1.0, "speed": 1.0, **tokens}, OBJECTIVES, "tokens")
        assert "report tokens" in str(caught.value.hint)


def test_the_resource_is_the_epoch_or_else_the_step() -> None:
    assert boundary.resource({"epoch": 3.0}, 7) == 3.0
    assert boundary.resource({}, 7) == 7.0
    assert boundary.resource({"epoch": math.nan}, 7) == 7.0
