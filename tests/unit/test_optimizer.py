"""Ask and tell as a user meets it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import paretune as pt
from paretune.errors import AlgorithmError, InputError, ObjectiveError, ReportError, SpaceError

SPACE: dict[str, Any] = {"x": pt.Float(0, 1), "n": {"type": "int", "low": 1, "high": 9}}


def optimizer(objectives: dict[str, Any] | None = None, **changed: Any) -> pt.Optimizer:
    settings: dict[str, Any] = {"algorithm": "random", **changed}
    return pt.Optimizer(SPACE, objectives or {"error": "minimize"}, **settings)


def test_the_loop_of_the_readme() -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize"})
    for _ in range(12):
        s = opt.ask()
        opt.tell(s, {"error": s.config["x"], "speed": s.config["x"] + s.config["n"]})
    assert [observation.trial for observation in opt.history] == list(range(12))
    assert opt.best("error").metrics["error"] == min(o.metrics["error"] for o in opt.history)
    front = opt.front()
    errors = [trial.metrics["error"] for trial in front]
    assert errors == sorted(errors)
    assert [trial.metrics["speed"] for trial in front] == sorted(trial.metrics["speed"] for trial in front)
    for observation in opt.history:
        assert any(
            t.metrics["error"] <= observation.metrics["error"] and t.metrics["speed"] >= observation.metrics["speed"]
            for t in front
        )


def test_several_suggestions_are_out_at_a_time_and_told_in_any_order() -> None:
    opt = optimizer()
    suggestions = opt.ask(n=4)
    assert [s.id for s in suggestions] == [0, 1, 2, 3]
    assert [s.pending for s in suggestions] == [(), (0,), (0, 1), (0, 1, 2)]
    for s in reversed(suggestions):
        opt.tell(s.id, {"error": float(s.id)})
    assert opt.pending == []
    assert [o.trial for o in opt.history] == [3, 2, 1, 0]
    assert opt.best().id == 0
    assert opt.ask().history_position == opt.log.position - 1


def test_the_same_asks_and_tells_give_the_same_suggestions() -> None:
    def trace(seed: int) -> list[Any]:
        opt = optimizer(algorithm="gp", seed=seed)
        for _ in range(6):
            s = opt.ask()
            opt.tell(s, {"error": (s.config["x"] - 0.3) ** 2})
        return [t.suggestion.proposal for t in opt.log.trials.values()]

    assert trace(0) == trace(0)
    assert trace(0) != trace(1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_value_that_is_no_number_makes_the_trial_diverged(bad: float) -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize"})
    trial = opt.tell(opt.ask(), {"error": bad, "speed": 2.0, "extra": 1.0})
    assert trial.status == "diverged"
    assert trial.metrics == {"speed": 2.0, "extra": 1.0}
    assert trial.reason == f"error is {float(bad)}"
    assert opt.front() == []


def test_a_failed_trial_needs_no_metrics() -> None:
    opt = optimizer()
    assert opt.tell(opt.ask(), status="failed", reason="out of memory").reason == "out of memory"
    assert [o.status for o in opt.history] == ["failed"]


def test_numbers_of_any_library_will_do() -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize"})
    trial = opt.tell(opt.ask(), {"error": np.float32(0.5), "speed": 3, "kept": True}, resource=4)
    assert trial.metrics == {"error": 0.5, "speed": 3.0, "kept": 1.0}
    assert trial.observation.resource == 4


def test_a_missing_objective_is_named_with_what_was_given() -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize", "size": "minimize"})
    s = opt.ask()
    with pytest.raises(
        ReportError, match="trial 0: every objective must be reported, missing speed, size, given error"
    ):
        opt.tell(s, {"error": 1.0})
    assert opt.pending == [s], "a refused result leaves the trial open"
    with pytest.raises(ReportError, match="missing error, speed, size, given nothing"):
        opt.tell(s)


@pytest.mark.parametrize("bad", ["0.1", None, [1.0], 1j])
def test_what_is_no_number_at_all_is_refused(bad: object) -> None:
    opt = optimizer()
    with pytest.raises(ReportError, match="trial 0: error: must be a number, got"):
        opt.tell(opt.ask(), {"error": bad})
    with pytest.raises(ReportError, match="metrics must map names to numbers, got 1"):
        opt.tell(0, 1)  # type: ignore[arg-type]
    assert len(opt.pending) == 1


def test_telling_twice_or_of_the_unknown_is_refused() -> None:
    opt, other = optimizer(), optimizer(seed=8)
    s, _ = opt.ask(), other.ask()
    opt.tell(s, {"error": 1.0})
    with pytest.raises(ReportError, match="trial 0: has ended already, as completed"):
        opt.tell(s, {"error": 1.0})
    with pytest.raises(ReportError, match="trial 7: was never suggested"):
        opt.tell(7, {"error": 1.0})
    with pytest.raises(ReportError, match="trial 1: status must be one of"):
        opt.tell(opt.ask(), {"error": 1.0}, status="done")  # type: ignore[arg-type]
    with pytest.raises(ReportError, match="trial 0: was suggested by another optimizer"):
        other.tell(s, {"error": 1.0})


def test_results_from_elsewhere_are_learnt_from() -> None:
    opt = optimizer()
    trial = opt.add({"x": 0, "n": 3.0}, {"error": 0.25})
    assert trial.config == {"x": 0.0, "n": 3}
    assert [type(value) for value in trial.config.values()] == [float, int]
    assert trial.suggestion.proposal.origin == "given"
    opt.add({"x": 0.5, "n": 3}, status="failed")
    assert [o.status for o in opt.history] == ["completed", "failed"]
    assert opt.best() is trial
    assert opt.ask().id == 2


def test_a_refused_addition_leaves_nothing_behind() -> None:
    opt = optimizer()
    with pytest.raises(SpaceError, match="x: value must be in"):
        opt.add({"x": 2.0, "n": 3}, {"error": 1.0})
    with pytest.raises(SpaceError, match="y: no such parameter"):
        opt.add({"x": 0.5, "y": 3}, {"error": 1.0})
    with pytest.raises(ReportError, match="add: every objective must be reported"):
        opt.add({"x": 0.5, "n": 3}, {"eror": 1.0})
    assert opt.log.entries == []


def test_limits_decide_who_may_win() -> None:
    opt = optimizer({"error": "minimize", "size": {"goal": "minimize", "limit": 5.0}})
    opt.add({"x": 0.1, "n": 1}, {"error": 0.1, "size": 9.0})
    with pytest.raises(InputError, match="needs a completed trial within the limits"):
        opt.best("error")
    kept = opt.add({"x": 0.2, "n": 1}, {"error": 0.2, "size": 5.0})
    assert opt.best("error") is kept
    assert opt.front() == [kept]


def test_best_of_several_objectives_needs_one_of_their_names() -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize"})
    opt.add({"x": 0.1, "n": 1}, {"error": 0.1, "speed": 1.0})
    with pytest.raises(ObjectiveError, match="must name one of 2 objectives") as caught:
        opt.best()
    assert caught.value.hint == 'best("error"), or front()'
    with pytest.raises(ObjectiveError, match="no objective 'eror'"):
        opt.best("eror")


def test_equal_trials_share_the_front() -> None:
    opt = optimizer({"error": "minimize", "speed": "maximize"})
    twins = [opt.add({"x": x, "n": 1}, {"error": 0.1, "speed": 1.0}) for x in (0.1, 0.2)]
    opt.add({"x": 0.3, "n": 1}, {"error": 0.1, "speed": 0.5})
    assert opt.front() == twins
    assert opt.best("speed") is twins[0]


def test_bad_input_is_refused_at_once() -> None:
    with pytest.raises(AlgorithmError, match="got 'bhob'"):
        optimizer(algorithm="bhob")
    with pytest.raises(SpaceError):
        pt.Optimizer({}, {"error": "minimize"})
    with pytest.raises(ObjectiveError):
        optimizer({"error": "min"})
