"""The virtual clock: hand-made studies, determinism, faults, resuming, and the same course as on Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import paretune as pt
from paretune import schedulers
from paretune.errors import InputError, SchedulerError, SpecError, StudyExistsError
from paretune.records import Entry, Event, Report
from paretune.space import Config

EPOCHS = 9


def blackbox(config: Config, resource: float) -> tuple[Mapping[str, float], float]:
    """Ten seconds an epoch; the error falls to a floor that x decides."""
    x = float(config["x"])  # type: ignore[arg-type]
    return {"error": abs(x - 0.3) + 1.0 / resource if resource else 9.0}, 10.0 * resource


def spec(store: Path, *, scheduler: Any = "none", trials: int = 12, **search: Any) -> dict[str, Any]:
    return {
        "name": "study",
        "objectives": {"error": "minimize"},
        "space": {"x": pt.Float(0, 1), "kind": pt.Choice(["a", "b"])},
        "search": {"algorithm": "random", "scheduler": scheduler, "trials": trials, "seed": 3, **search},
        "train": {"epochs": EPOCHS},
        "store": str(store),
    }


def what_happened(study: pt.Study) -> list[Entry]:
    """The log without its study's own events, renumbered."""
    entries = [e for e in study.log.entries if isinstance(e, Report) or e.trial is not None]
    return [_timeless(entry, position) for position, entry in enumerate(entries)]


def _timeless(entry: Entry, position: int) -> Entry:
    if isinstance(entry, Event) and entry.suggestion is not None:
        suggestion = replace(entry.suggestion, history_position=0)
        return replace(entry, position=position, suggestion=suggestion)
    return replace(entry, position=position)


def test_without_a_scheduler_workers_train_side_by_side(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path), blackbox, workers=4)
    assert {trial.status for trial in study.trials} == {"completed"}
    assert study.log.entries[-1].time_s == 12 / 4 * EPOCHS * 10
    assert study.log.worker_seconds == 12 * EPOCHS * 10
    assert [report.time_s for report in study.trials[0].reports] == [10.0 * n for n in range(1, EPOCHS + 1)]
    assert study.name == "study-simulated"
    assert pt.load("study-simulated", store=tmp_path).best().id == study.best().id
    assert study.report(tmp_path / "report.html").read_text().startswith("<!")


@pytest.mark.parametrize("scheduler", schedulers.names())
def test_equal_arguments_give_equal_logs(tmp_path: Path, scheduler: str) -> None:
    faults = pt.Faults(failures=0.02, preemptions=0.1, stragglers=0.2)
    first, second = (
        pt.simulate(spec(tmp_path / name, scheduler=scheduler), blackbox, workers=3, faults=faults) for name in "ab"
    )
    assert first.log.entries == second.log.entries
    assert not first.log.under_way


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_asha_spends_a_fraction_and_trains_the_best_in_full(tmp_path: Path, kind: str) -> None:
    study = pt.simulate(spec(tmp_path, scheduler=pt.ASHA(kind=kind), trials=60), blackbox, workers=4)
    assert {trial.status for trial in study.trials} == {"stopped", "completed"}
    assert study.log.worker_seconds < 0.5 * 60 * EPOCHS * 10
    best = min(study.trials, key=lambda trial: abs(float(trial.config["x"]) - 0.3))  # type: ignore[arg-type]
    assert best.status == "completed"
    for trial in study.trials:
        assert [report.resource for report in trial.reports] == list(range(1, trial.step + 1))


def test_a_promoted_trial_goes_on_at_its_next_epoch_on_a_worker_that_is_free(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path, scheduler=pt.OneEpochTopK(keep=2)), blackbox, workers=12)
    promoted = [trial for trial in study.trials if trial.status == "completed"]
    assert len(promoted) == 2
    for trial in promoted:
        assert trial.attempt == 1
        assert [report.time_s for report in trial.reports] == [10.0 * n for n in range(1, EPOCHS + 1)]


def test_a_failing_or_diverging_training_ends_its_own_trial(tmp_path: Path) -> None:
    def troubled(config: Config, resource: float) -> tuple[Mapping[str, float], float]:
        if config["kind"] == "a":
            raise ValueError("does not fit")
        return {"error": math.nan if resource > 2 else 1.0}, resource

    study = pt.simulate(spec(tmp_path), troubled, workers=2)
    for trial in study.trials:
        expected = ("failed", "ValueError: does not fit", 0) if trial.config["kind"] == "a" else ("diverged", "", 2)
        assert (trial.status, trial.step) == (expected[0], expected[2])
        assert str(trial.reason).startswith(expected[1] or "error is nan at report 3")


def test_lost_workers_cost_time_and_not_epochs(tmp_path: Path) -> None:
    spared = pt.simulate(spec(tmp_path), blackbox, workers=2)
    faults = pt.Faults(preemptions=0.1, restart_s=30)
    study = pt.simulate(spec(tmp_path), blackbox, workers=2, faults=faults, name="lossy")
    assert sum(trial.attempt for trial in study.trials) > 3
    assert study.log.entries[-1].time_s > spared.log.entries[-1].time_s
    assert [trial.config for trial in study.trials] == [trial.config for trial in spared.trials]
    for trial in study.trials:
        assert [report.resource for report in trial.reports] == list(range(1, trial.step + 1))


def test_a_trial_that_keeps_losing_its_workers_has_failed(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path, trials=2), blackbox, faults=pt.Faults(preemptions=1.0, restart_s=5))
    assert [trial.status for trial in study.trials] == ["failed"] * 2
    assert "lost its workers 4 times (train: retries is 3)" in str(study.trials[0].reason)


def test_stragglers_take_longer(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path), blackbox, faults=pt.Faults(stragglers=0.5, slowdown=3))
    assert {round(trial.seconds) for trial in study.trials} == {EPOCHS * 10, EPOCHS * 30}


@pytest.mark.parametrize("scheduler", schedulers.names())
def test_an_interrupted_simulation_goes_on_as_if_nothing_had_happened(tmp_path: Path, scheduler: str) -> None:
    """One worker: with several, those that were under way begin their epoch again, and time is lost."""
    straight = pt.simulate(spec(tmp_path, scheduler=scheduler), blackbox, workers=1)
    calls = 0

    def interrupted(config: Config, resource: float) -> tuple[Mapping[str, float], float]:
        nonlocal calls
        calls += 1
        if calls % 7 == 0:
            raise KeyboardInterrupt
        return blackbox(config, resource)

    for _ in range(100):
        try:
            study = pt.simulate(spec(tmp_path, scheduler=scheduler), interrupted, workers=1, name="parts")
            break
        except KeyboardInterrupt:
            continue
    statuses = [(t.config, t.status, [r.resource for r in t.reports]) for t in study.trials]
    assert statuses == [(t.config, t.status, [r.resource for r in t.reports]) for t in straight.trials]
    decisions = [(e.kind, e.trial) for e in what_happened(study) if isinstance(e, Event) and e.kind != "started"]
    assert decisions == [
        (e.kind, e.trial) for e in what_happened(straight) if isinstance(e, Event) and e.kind != "started"
    ]


def test_rules_stop_it_and_more_of_it_goes_on(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path, hours=0.05), blackbox, workers=2)
    assert study.log.entries[-1].time_s == 180
    assert study.log.entries[-1].reason == "hours"  # type: ignore[union-attr]
    study = pt.simulate(spec(tmp_path, worker_hours=0.2), blackbox, workers=2)
    assert 720 <= study.log.worker_seconds < 740
    study = pt.simulate(spec(tmp_path, trials=15), blackbox, workers=5)
    assert [trial.status for trial in study.trials] == ["completed"] * 15
    assert (study.spec.search.trials, study.spec.search.concurrency) == (15, 5)


def test_a_finished_study_is_a_blackbox(tmp_path: Path) -> None:
    first = pt.simulate(spec(tmp_path, trials=20), blackbox)
    recorded = first.blackbox()
    for trial in first.trials:
        assert recorded(trial.config, 4) == (trial.reports[3].metrics, 40.0)
        assert recorded(trial.config, 4.5) == (trial.reports[3].metrics, 40.0)
    again = pt.simulate(first.spec, recorded, workers=8, name="again")
    assert what_happened(again) == what_happened(first)
    rehearsed = pt.simulate(spec(tmp_path, scheduler="asha", algorithm="sobol"), recorded, name="asha")
    assert rehearsed.best().metrics["error"] in [trial.metrics["error"] for trial in first.trials]


def test_what_cannot_be_simulated_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    endless = {**spec(tmp_path), "train": {}}
    with pytest.raises(SpecError, match="how long a training is"):
        pt.simulate(endless, blackbox)
    with pytest.raises(SchedulerError, match="neither epochs nor max_resource"):
        pt.simulate({**spec(tmp_path, scheduler="asha"), "train": {}}, blackbox, reports=[1, 2])
    with pytest.raises(InputError, match="failures must be a probability"):
        pt.Faults(failures=2)
    assert list(tmp_path.iterdir()) == []
    pt.simulate(endless, blackbox, reports=[1, 5, 20], workers=4)
    assert {trial.resource for trial in pt.load("study-simulated", store=tmp_path).trials} == {20}
    with pytest.raises(StudyExistsError):
        pt.simulate({**endless, "objectives": {"other": "minimize"}}, blackbox, reports=[1])


def test_a_simulated_study_is_not_resumed_on_ray(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path), blackbox)
    with pytest.raises(InputError, match="simulated"):
        study.resume(trials=20, progress=False)
