"""An objective whose standard error is reported with it: how it is declared, refused, stored and used."""

from __future__ import annotations

import math

import numpy as np
import pytest

import paretune as pt
from paretune import study
from paretune.engine import boundary
from paretune.errors import ObjectiveError, ReportError, SpecError
from paretune.objective import Objectives

LINE = {"x": pt.Float(0, 1)}
WITH = {"error": {"goal": "minimize", "standard_error": "error_se"}}
AIMS = Objectives.from_dict(WITH)


def test_a_spec_keeps_it() -> None:
    spec = study.build(
        {"name": "s", "trainable": "cnn", "objectives": WITH, "space": {"x": {"type": "float", "low": 0, "high": 1}}},
        where="spec.yaml",
    )
    assert spec.objectives == AIMS
    assert spec.to_dict()["objectives"] == WITH
    assert AIMS.required == ("error", "error_se")
    assert pt.Objective("error", "minimize", standard_error="error_se") == AIMS[0]


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"error": {"goal": "minimize", "standard_error": 0.1}}, "must be the name of a reported metric, got 0.1"),
        ({"error": {"goal": "minimize", "standard_error": ""}}, "must be the name of a reported metric, got ''"),
        ({"error": {"goal": "minimize", "standard_error": "error"}}, "standard_error: error is an objective"),
        ({"error": {"goal": "minimize", "standard_error": "ms"}, "ms": "minimize"}, "ms is an objective"),
        ({"error": {"goal": "minimize", "standard_eror": "se"}}, "unknown key 'standard_eror'"),
    ],
)
def test_what_cannot_be_one_is_refused_before_any_trial(objectives: dict[str, object], message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        pt.Optimizer(LINE, objectives)  # type: ignore[arg-type]
    space = {"x": {"type": "float", "low": 0, "high": 1}}
    with pytest.raises((SpecError, ObjectiveError), match=message):
        study.build({"name": "s", "trainable": "cnn", "objectives": objectives, "space": space}, where="spec.yaml")


def test_a_report_without_it_is_refused() -> None:
    opt = pt.Optimizer(LINE, WITH)
    suggestion = opt.ask()
    with pytest.raises(ReportError, match="every standard error must be reported, missing error_se, given error"):
        opt.tell(suggestion, {"error": 1.0})
    with pytest.raises(ReportError, match="a standard error must not be negative, error_se is -1"):
        opt.tell(suggestion, {"error": 1.0, "error_se": -1.0})
    trial = opt.tell(suggestion, {"error": 1.0, "error_se": math.nan})
    assert (trial.status, trial.reason) == ("diverged", "error_se is nan")


def test_a_training_loop_that_leaves_it_out_fails_with_the_reason() -> None:
    with pytest.raises(ReportError, match="each standard error; error_se missing"):
        boundary.accept({"error": 1.0}, AIMS)
    with pytest.raises(ReportError, match="a standard error must not be negative, error_se is -2"):
        boundary.accept({"error": 1.0, "error_se": -2.0}, AIMS)
    assert boundary.accept({"error": 1.0, "error_se": math.inf}, AIMS)[1] == "error_se is inf"
    assert boundary.accept({"error": 1.0, "error_se": 0.1}, AIMS) == ({"error": 1.0, "error_se": 0.1}, None)


@pytest.mark.parametrize("sure", [True, False])
def test_results_known_to_be_poor_are_not_believed(sure: bool) -> None:
    """A second, deeper valley on the right is believed where its results have small errors, not where they have large
    ones."""
    opt = pt.Optimizer(LINE, WITH, seed=1)
    for x in np.linspace(0, 1, 12).tolist():
        right = math.exp(-(((x - 9 / 11) / 0.12) ** 2))
        opt.add({"x": x}, {"error": (x - 0.3) ** 2 - right, "error_se": 0.01 if sure or x < 0.6 else 3.0})
    assert (opt.best().config["x"] > 0.6) == sure
    proposal = opt.ask().proposal
    assert proposal.mean is not None
    if sure:
        assert abs(proposal.config["x"] - 9 / 11) < 0.1
        assert proposal.mean["error"] < -0.5
    else:  # unknown is as good a reason to look there
        assert proposal.mean["error"] > -0.5


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d", "e"]])
def test_several_objectives_may_have_one_each(names: list[str]) -> None:
    aims = {name: {"goal": "maximize", "standard_error": f"{name}_se"} for name in names}
    opt = pt.Optimizer(LINE, aims, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(8):
        opt.tell(
            opt.ask(), {name: value for each in names for name, value in ((each, rng.random()), (f"{each}_se", 0.1))}
        )
    assert opt.ask().proposal.origin in ("model", "replicate")
