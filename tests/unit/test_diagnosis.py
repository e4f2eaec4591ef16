"""What a study says about itself: against closed forms, and each warning where it is due and only there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import synthetic
from paretune.algorithms._gp.hindsight import hindsight, leave_one_out
from paretune.algorithms._gp.kernel import covariances
from paretune.algorithms._gp.process import condition
from paretune.diagnosis import Diagnosis, Finding, diagnose
from paretune.log import Log
from paretune.records import Proposal, Suggestion
from paretune.report import page
from paretune.space import Float, Space
from paretune.study import StudySpec, build

UNIT = {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}}


def spec(**changes: Any) -> StudySpec:
    data = {"name": "s", "trainable": "cnn", "objectives": {"error": "minimize"}, "space": UNIT, **changes}
    return build(data, where="test")


def played(function: Callable[[float, float], float], *, n: int = 24, noise: float = 0.0, seed: int = 0) -> Log:
    rng = np.random.default_rng(seed)
    write = synthetic.Writer()
    write.event("opened")
    for number, (x, y) in enumerate(rng.random((n, 2)).tolist()):
        write.complete(number, {"x": x, "y": y}, {"error": function(x, y) + noise * rng.normal()}, seconds=10)
    return write.log


def bowl(x: float, y: float) -> float:
    return 4 * (x - 0.4) ** 2 + 2 * (y - 0.6) ** 2


def about(found: Diagnosis, what: str) -> Finding | None:
    return next((finding for finding in found.findings if what in finding.about), None)


def warned(found: Diagnosis) -> list[str]:
    return [finding.about for finding in found.findings if finding.state == "warning"]


# -- the model ---------------------------------------------------------------------------------------------------------


def test_leaving_one_out_in_closed_form_is_leaving_it_out() -> None:
    rng = np.random.default_rng(0)
    X, z = torch.from_numpy(rng.random((9, 2))), torch.from_numpy(rng.normal(size=9))
    lengths = torch.tensor([[0.3, 0.6], [1.0, 2.0]], dtype=torch.double)
    noise, mean = torch.tensor([[0.05], [0.3]], dtype=torch.double), torch.tensor([0.1, -0.2], dtype=torch.double)
    mean_kn, sd_kn = leave_one_out(condition(X, z, lengths_kf=lengths, noise_kn=noise, mean_k=mean), z)
    for i in range(9):
        rest = [j for j in range(9) if j != i]
        for k in range(2):
            K = covariances(X[rest], X[rest], lengths[k], "matern52") + noise[k] * torch.eye(8)
            to_i = covariances(X[i : i + 1], X[rest], lengths[k], "matern52")[0]
            expected = mean[k] + to_i @ torch.linalg.solve(K, z[rest] - mean[k])
            variance = 1 + noise[k, 0] - to_i @ torch.linalg.solve(K, to_i)
            assert mean_kn[k, i].item() == pytest.approx(expected.item(), rel=1e-9)
            assert sd_kn[k, i].item() == pytest.approx(variance.sqrt().item(), rel=1e-9)


def test_noise_is_told_from_structure() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)})

    def seen(noise: float) -> Any:
        trials = [trial for _, trial in sorted(played(bowl, n=40, noise=noise).trials.items())]
        return hindsight(space, [t.config for t in trials], np.array([t.metrics["error"] for t in trials]))

    assert seen(0.0).quiet > 0.99
    loud = seen(0.5)
    assert loud.quiet < 0.01
    assert 0.3 < loud.noise < 0.75


@pytest.mark.parametrize("values", [[1.0] * 8, [0.0] * 8, [1e300 * i for i in range(8)], [*range(7), 1e30]])
def test_degenerate_results_give_finite_answers(values: list[float]) -> None:
    space = Space({"x": Float(0, 1)})
    found = hindsight(space, [{"x": i / 8} for i in range(8)], np.array(values, dtype=float))
    for part in (found.mean_n, found.sd_n, found.left_out_mean_n, found.left_out_sd_n):
        assert np.isfinite(part).all()
    assert (found.left_out_sd_n > 0).all()


def test_a_sound_study_has_nothing_to_warn_of() -> None:
    found = diagnose(spec(), played(bowl))
    assert repr(found).startswith(f"Diagnosis({found.study}: {found.completed} of {found.trials} trials completed")
    assert warned(found) == []
    (model,) = found.models
    assert model.metric == "error"
    assert model.quiet > 0.9
    assert model.left_out.within_90 >= 0.8
    assert model.left_out.correlation is not None
    assert model.left_out.correlation > 0.9
    assert model.left_out.trials == tuple(range(24))
    assert set(model.lengthscales) == {"x", "y"}
    assert found.best[0].objective == "error"


def test_what_was_predicted_is_held_against_what_came() -> None:
    """Predictions ten times too sure of themselves."""
    rng = np.random.default_rng(1)
    write = synthetic.Writer()
    for number, (x, y) in enumerate(rng.random((20, 2)).tolist()):
        config, error = {"x": x, "y": y}, bowl(x, y)
        proposal = Proposal(
            config=config, origin="model", mean={"error": error + 0.1 * rng.normal()}, sd={"error": 0.01}
        )
        suggestion = Suggestion(id=number, proposal=proposal, algorithm="gp", history_position=write.log.position)
        write.event("suggested", number, suggestion=suggestion)
        write.event("started", number, attempt=1)
        write.report(number, {"error": error})
        write.event("completed", number, attempt=1, metrics={"error": error})
    found = diagnose(spec(), write.log)
    (model,) = found.models
    assert model.suggested is not None
    assert len(model.suggested.trials) == 20
    assert model.suggested.within_90 < 0.7
    finding = next(f for f in found.findings if "when suggested" in f.found)
    assert finding.state == "warning"
    assert "too large" in finding.found


# -- findings ----------------------------------------------------------------------------------------------------------


def test_noise_beyond_the_signal_is_warned_of() -> None:
    finding = about(diagnose(spec(), played(lambda x, y: 0.1 * x, n=40, noise=1.0)), "noise")
    assert finding is not None
    assert finding.state == "warning"
    assert "repeating a trial moves it by about" in finding.found


def test_a_best_value_at_an_end_says_which_parameter_and_which_end() -> None:
    log = played(lambda x, y: x + 3 * (y - 0.5) ** 2)
    write = synthetic.Writer()
    write.log, write.time_s = log, synthetic.START_S + 1000
    write.complete(24, {"x": 0.0, "y": 0.5}, {"error": -0.01})
    finding = about(diagnose(spec(), log), "space: x")
    assert finding == Finding(
        "space: x",
        "warning",
        "the best error (trial 24) has x = 0, at its lower end",
        "widen the space: x, lower end",
    )
    assert about(diagnose(spec(), log), "space: y") is None


def test_a_parameter_that_does_not_matter_is_named_and_its_ends_are_not() -> None:
    log = played(lambda x, y: 4 * (x - 0.4) ** 2, n=30)
    write = synthetic.Writer()
    write.log, write.time_s = log, synthetic.START_S + 1000
    write.complete(30, {"x": 0.4, "y": 1.0}, {"error": 0.0})
    found = diagnose(spec(), log)
    finding = about(found, "lengthscales")
    assert finding is not None
    assert finding.found == "hardly depends on y"
    assert about(found, "space: y") is None


def test_failures_repeats_and_slow_suggestions_are_counted() -> None:
    write = synthetic.Writer()
    for number in range(6):
        write.complete(number, {"x": 0.5, "y": 0.1 * (number // 2)}, {"error": float(number)}, seconds=10)
    for number in (6, 7):
        write.start(number, {"x": 0.9, "y": 0.1 * number})
        write.event("failed", number, attempt=1, reason=synthetic.OOM, details={"traceback": synthetic.TRACEBACK})
    found = diagnose(spec(), write.log)
    failures, repeats = about(found, "failures"), about(found, "duplicates")
    assert failures is not None
    assert failures.found == "2 failed of 8 trials"
    assert synthetic.OOM in str(failures.advice)
    assert repeats == Finding("duplicates", "ok", "3 of 8 trials repeat a configuration")
    suggestions = about(found, "suggestions")
    assert suggestions is not None
    assert suggestions.state == "ok"


def test_lost_and_slow_workers_are_counted() -> None:
    write = synthetic.Writer()
    for number in range(3):
        write.start(number, {"x": 0.5, "y": 0.1 * number})
    write.event("started", 0, attempt=1, reason="rank 1 died")
    write.event("started", 0, attempt=2, reason="rank 0 and 1 have neither reported nor returned for 9 s; see s3://a/b")
    write.event("started", 1, attempt=1, reason="rank 1 died")
    write.event("straggling", 2, reason="rank 3 takes 2.1 times as long as the others")
    lost, slow = [finding for finding in diagnose(spec(), write.log).findings if finding.about == "workers"]
    assert lost.found == "2 of 3 trials went on with new workers, most often as rank 1 died"
    assert slow.state == "warning"
    assert slow.found == ("1 of 3 trials had slow workers, most often as rank 3 takes 2.1 times as long as the others")


def test_limits_that_nothing_keeps_name_the_hardest() -> None:
    write = synthetic.Writer()
    for number in range(6):
        write.complete(number, {"x": number / 6, "y": 0.5}, {"error": 1.0, "size": 9.0, "cost": float(number)})
    limited = spec(limits={"size": {"max": 5}, "cost": {"max": 2}})
    finding = about(diagnose(limited, write.log), "limits")
    assert finding is not None
    assert finding.found == "0 of 6 completed trials are within the limits"
    assert finding.advice == "relax size <= 5, or change the space"
    assert diagnose(limited, write.log).best == ()
    assert [model.metric for model in diagnose(limited, write.log).models] == ["error", "size", "cost"]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_few_trials_are_no_trouble(n: int) -> None:
    found = diagnose(spec(), played(bowl, n=n))
    assert found.models == ()
    assert warned(found) == ["model"]


# -- where it is shown -------------------------------------------------------------------------------------------------


def test_it_is_plain_data() -> None:
    found = diagnose(spec(), played(bowl, n=8))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["best"][0]["trial"] == found.best[0].trial.id
    assert plain["models"][0]["left_out"]["within_90"] == found.models[0].left_out.within_90


def test_the_report_shows_the_findings_and_a_chart_per_metric() -> None:
    log = played(bowl, n=8)
    html = page.render(spec(), log, synthetic.provenance(), diagnosis=diagnose(spec(), log))
    assert '<section id="diagnosis"' in html
    assert "error: calibration" in html
    assert "error, predicted" in html
    assert "on average: " in html
    assert '<section id="diagnosis"' not in page.render(spec(), log, synthetic.provenance())
