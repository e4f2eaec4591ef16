"""Limits on metrics that are no objectives: from the spec to who may win."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretune as pt
import synthetic
from paretune import amendments, progress, study
from paretune.engine import boundary
from paretune.errors import InputError, ObjectiveError, ReportError, SpecError
from paretune.log import Log
from paretune.objective import Limit, Objectives
from paretune.report import page, sections

GOALS = {"error": {"goal": "minimize", "limit": 0.5}, "speed": "maximize"}
LIMITS = {"latency_ms": {"max": 5}, "accuracy": {"min": 0.9}, "size_mb": {"min": 1, "max": 8.5}}
BOTH = Objectives.from_dict(GOALS, LIMITS)
METRICS = {"error": 0.2, "speed": 3.0, "latency_ms": 4.0, "accuracy": 0.95, "size_mb": 2.0}


def test_outcomes_by_hand() -> None:
    assert BOTH.names == ("error", "speed")
    assert BOTH.required == ("error", "speed", "latency_ms", "accuracy", "size_mb")
    assert BOTH.outcome_names == ("error", "speed", "latency_ms", "accuracy", "size_mb", "size_mb")
    np.testing.assert_array_equal(BOTH.outcomes(METRICS), [0.2, -3.0, 4.0, -0.95, -2.0, 2.0])
    np.testing.assert_array_equal(BOTH.limits(), [0.5, math.inf, 5.0, -0.9, -1.0, 8.5])
    np.testing.assert_array_equal(BOTH.minimized(METRICS), [0.2, -3.0])
    assert BOTH.natural(BOTH.minimized(METRICS)) == {"error": 0.2, "speed": 3.0}
    assert BOTH.natural(BOTH.outcomes(METRICS)) == METRICS


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({}, []),
        ({"latency_ms": 5.0, "accuracy": 0.9, "size_mb": 1.0, "error": 0.5}, []),
        ({"latency_ms": 5.1}, ["latency_ms 5.1, not <= 5"]),
        ({"accuracy": 0.89, "size_mb": 9.0}, ["accuracy 0.89, not >= 0.9", "size_mb 9, not <= 8.5"]),
        ({"size_mb": 0.5, "error": 0.6}, ["error 0.6, not <= 0.5", "size_mb 0.5, not >= 1"]),
    ],
)
def test_who_is_within(changed: dict[str, float], broken: list[str]) -> None:
    assert BOTH.broken({**METRICS, **changed}) == broken
    assert BOTH.feasible({**METRICS, **changed}) == (not broken)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_limit_holds_between_its_sides(a: float, b: float, value: float) -> None:
    low, high = sorted((a, b))
    within = Objectives.from_dict({"error": "minimize"}, {"size": {"min": low, "max": high}})
    assert within.feasible({"error": 0.0, "size": value}) == (low <= value <= high)


def test_plain_form_round_trip() -> None:
    assert Objectives.from_dict(BOTH.to_dict(), BOTH.limited_to_dict()) == BOTH
    assert BOTH.limited_to_dict()["size_mb"] == {"min": 1.0, "max": 8.5}
    assert Objectives.from_dict(GOALS) != BOTH
    assert Objectives.from_dict(GOALS, {"n": Limit("n", max=3)}).limited == (Limit("n", max=3.0),)
    assert Objectives.from_dict(GOALS).with_limits(LIMITS) == BOTH


BAD: list[tuple[Any, str, str | None]] = [
    (["latency_ms"], "limits must map a metric to its limit, got ['latency_ms']", "max: 5"),
    ({"latency_ms": 5}, "limits: latency_ms: must have min, max or both, got 5", "{latency_ms: {max: 5}}"),
    ({"latency_ms": {}}, "limits: latency_ms: a limit needs min, max or both, got neither", "{latency_ms: {max: 5}}"),
    ({"latency_ms": {"mx": 5}}, "limits: latency_ms: unknown key 'mx'", "did you mean 'max'?"),
    ({"latency_ms": {"max": "5"}}, "limits: latency_ms: max must be a finite number, got '5'", None),
    ({"latency_ms": {"max": math.inf}}, "limits: latency_ms: max must be a finite number, got inf", None),
    ({"size": {"min": 2, "max": 1}}, "limits: size: min must not be above max, got 2 and 1", None),
    ({"error": {"max": 1}}, "limits: error: is an objective, which has a limit of its own", "error: {goal: "),
    ({"": {"max": 1}}, "limits: a metric's name must be a non-empty string, got ''", None),
    ({"size": Limit("bytes", max=1)}, "limits: size: holds a limit of 'bytes'", None),
]


@pytest.mark.parametrize(("limits", "message", "hint"), BAD, ids=[message for _, message, _ in BAD])
def test_bad_limits_say_what_must_hold(limits: Any, message: str, hint: str | None) -> None:
    with pytest.raises(ObjectiveError) as caught:
        Objectives.from_dict(GOALS, limits)
    assert caught.value.message == message
    if hint is not None:
        assert hint in str(caught.value.hint)


# -- the spec ----------------------------------------------------------------------------------------------------------


def spec(**changes: Any) -> study.StudySpec:
    return synthetic.spec(objectives=1, limits={"latency_ms": {"max": 4.0}}, **changes)


def test_limits_stand_beside_the_objectives_of_a_spec() -> None:
    made = spec()
    assert made.objectives.limited == (Limit("latency_ms", max=4.0),)
    assert made.to_dict()["limits"] == {"latency_ms": {"max": 4.0}}
    assert "limits" not in synthetic.spec(objectives=1).to_dict()
    assert study.build(made.to_dict(), where="again") == made
    changed = made.with_changes({"limits": {"latency_ms": {"max": 3}}})
    assert amendments.differences(made, changed) == ["limits.latency_ms.max: 4.0 before, 3.0 now"]


def test_a_misspelt_section_is_recognised() -> None:
    with pytest.raises(SpecError, match="unknown key 'limts'") as caught:
        synthetic.spec(limts={})
    assert caught.value.hint == "did you mean 'limits'?"


def test_the_order_of_limits_is_part_of_the_study() -> None:
    a, b = (
        synthetic.spec(limits={name: {"max": 1} for name in names}) for names in (("size", "cost"), ("cost", "size"))
    )
    assert amendments.differences(a, b) == ["limits: order size, cost before, cost, size now"]


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_report_without_a_limited_metric_is_refused() -> None:
    limited = spec().objectives
    with pytest.raises(ReportError, match="each objective and each metric under a limit; latency_ms missing"):
        boundary.accept({"val_error": 0.1}, limited)
    assert boundary.accept({"val_error": 0.1, "latency_ms": math.inf}, limited)[1] == "latency_ms is inf"


def optimizer() -> pt.Optimizer:
    return pt.Optimizer(
        {"x": pt.Float(0, 1)}, {"error": "minimize"}, limits={"size": {"max": 5}}, algorithm="random", seed=0
    )


def test_ask_and_tell_with_a_limit() -> None:
    opt = optimizer()
    with pytest.raises(ReportError, match="every metric under a limit must be reported, missing size"):
        opt.tell(opt.ask(), {"error": 1.0})
    opt.tell(0, {"error": 0.1, "size": 9.0})
    with pytest.raises(InputError, match="needs a completed trial within the limits"):
        opt.best()
    kept = opt.add({"x": 0.2}, {"error": 0.2, "size": 5.0})
    assert opt.best() is kept
    assert opt.front() == [kept]
    assert opt.add({"x": 0.3}, {"error": 0.2, "size": math.nan}).status == "diverged"


@pytest.fixture
def log() -> Log:
    """Trial 0 has the least error, and is beyond the limit."""
    write = synthetic.Writer()
    write.event("opened")
    config = {"lr": 1e-3, "hidden": 64, "layers": 3, "optimizer": "adamw"}
    for i, (error, latency) in enumerate([(0.1, 7.25), (0.3, 2.0), (0.2, 4.0)]):
        write.complete(i, {**config, "layers": 3 + i}, {"val_error": error, "latency_ms": latency})
    return write.log


def test_the_report_marks_what_is_beyond_a_limit(log: Log) -> None:
    html = page.render(spec(), log, synthetic.provenance())
    assert html.count('title="beyond a limit: latency_ms 7.25, not &lt;= 4"') == 1
    assert "Within latency_ms &lt;= 4; 1 of 3 completed trials are beyond it." in html
    assert "best val_error 0.2 (trial 2)" in sections.outcome(spec(), log)


def test_the_terminal_says_so_too(log: Log) -> None:
    beyond, within = (progress.finished_line(spec(), log, log.trials[i]) for i in (0, 1))
    assert "latency_ms 7.25, not <= 4" in beyond
    assert "latency_ms" not in within
