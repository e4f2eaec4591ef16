"""Schedulers on a real local Ray: who goes on, from where, and that a killed driver changes none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import loops
import pytest
from test_engine import Probe, interrupt

import paretune as pt
from paretune import study
from paretune.flow import run
from paretune.records import Event

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_afterwards")]

EPOCHS = 9


def spec(store: Path, *, scheduler: Any, **search: Any) -> study.StudySpec:
    workers, keep = search.pop("workers", 1), search.pop("keep", "last")
    return study.build(
        {
            "name": "study",
            "trainable": "loops:steady",
            "objectives": {"error": "minimize"},
            "space": {"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)},
            "search": {"algorithm": "random", "scheduler": scheduler, "trials": 9, "seed": 3, **search},
            "train": {"epochs": EPOCHS, "workers": workers, "keep": keep, "config": {"sleep_s": 0.05}},
            "store": str(store),
        },
        where="test",
    )


def decisions(found: pt.Study) -> list[tuple[str, int | None]]:
    kinds = ("stopped", "paused", "promoted", "completed")
    return [(e.kind, e.trial) for e in found.log.entries if isinstance(e, Event) and e.kind in kinds]


def test_stopped_trials_make_room_and_the_best_are_trained_to_the_end(tmp_path: Path) -> None:
    found = run(spec(tmp_path, scheduler=pt.ASHA()), train=loops.steady)
    assert {trial.status for trial in found.trials} == {"stopped", "completed"}
    for trial in found.trials:
        last = trial.reports[-1].resource
        assert last == EPOCHS if trial.status == "completed" else last in (1, 3)
        assert [report.resource for report in trial.reports] == list(range(1, int(last) + 1))
        assert trial.attempt == 0
    best = found.best()
    assert best.metrics["error"] == min(t.metrics["error"] for t in found.trials if t.status == "completed")


@pytest.mark.parametrize("workers", [1, 2])
def test_promoted_trials_go_on_at_their_next_epoch(tmp_path: Path, workers: int) -> None:
    found = run(spec(tmp_path, scheduler=pt.ASHA(kind="promote"), workers=workers), train=loops.steady)
    assert {trial.status for trial in found.trials} == {"stopped", "completed"}
    resumed = [trial for trial in found.trials if trial.attempt > 0]
    assert resumed, "some trial was promoted after a pause"
    for trial in found.trials:
        assert [report.resource for report in trial.reports] == [float(n) for n in range(1, trial.step + 1)]
        assert [report.metrics["counted"] for report in trial.reports] == [r.resource for r in trial.reports]
    ranked = sorted(found.trials, key=lambda trial: trial.reports[0].metrics["error"])
    assert max(trial.step for trial in ranked[:3]) == EPOCHS


@pytest.mark.parametrize("keep", ["last", "best", "all"])
def test_checkpoints_stay_as_keep_says(tmp_path: Path, keep: str) -> None:
    """Promoted trials count their epochs in their checkpoints: none was removed too early."""
    found = run(spec(tmp_path, scheduler=pt.ASHA(kind="promote"), keep=keep), train=loops.steady)
    assert any(trial.attempt > 0 for trial in found.trials)
    for trial in found.trials:
        assert [report.metrics["counted"] for report in trial.reports] == [r.resource for r in trial.reports]
    stay = {
        "last": [trial.checkpoint for trial in found.trials],
        "best": [trial.checkpoint for trial in found.front()],
        "all": [report.checkpoint for trial in found.trials for report in trial.reports],
    }
    root = Path(found.folder, "checkpoints")
    assert {str(state.parent.relative_to(root)) for state in root.glob("*/*/*.json")} == set(stay[keep])


def test_hyperband_promotes_when_its_rungs_are_complete(tmp_path: Path) -> None:
    found = run(spec(tmp_path, scheduler=pt.Hyperband(brackets=1)), train=loops.steady)
    assert sorted(trial.step for trial in found.trials) == [1] * 6 + [3] * 2 + [EPOCHS]
    ranked = sorted(found.trials, key=lambda trial: trial.reports[0].metrics["error"])
    assert [trial.step for trial in ranked[:1]] == [EPOCHS]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_copies_train_on_from_the_checkpoints_of_the_best(tmp_path: Path, workers: int) -> None:
    """Through an interruption: each checkpoint holds which configurations trained it, epoch by epoch."""
    chosen = spec(
        tmp_path,
        scheduler=pt.PBT(population=4, interval=3),
        algorithm="sobol",
        trials=6,
        concurrency=3 // workers,
        workers=workers,
    )
    with pytest.raises(KeyboardInterrupt):
        run(chosen, train=loops.inheriting, listeners=[Probe({30: interrupt})])
    found = run(chosen, train=loops.inheriting)
    assert sorted(trial.resource for trial in found.trials if trial.status == "stopped") == [3, 6]
    copies = [trial for trial in found.trials if trial.inherited is not None]
    assert len(copies) == 2
    for trial in found.trials:
        assert [report.metrics["counted"] for report in trial.reports] == [report.resource for report in trial.reports]
        trail = [stage.config["x"] for stage in found.schedule(trial) for _ in range(int(stage.end - stage.start))]
        assert trial.reports[-1].metrics["error"] == pytest.approx(-sum(trail))  # type: ignore[arg-type]
    for copy in copies:
        assert copy.reports[0].resource == copy.born + 1
    assert found.replay().difference is None


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_a_resumed_study_decides_what_the_undisturbed_one_did(tmp_path: Path, kind: str) -> None:
    scheduler = {"name": "asha", "kind": kind}
    straight = pt.simulate(spec(tmp_path / "straight", scheduler=scheduler), loops.known, workers=1)
    interruptions = 0
    for _ in range(50):
        try:
            parts = run(
                spec(tmp_path / "parts", scheduler=scheduler), train=loops.steady, listeners=[Probe({8: interrupt})]
            )
            break
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions >= 2
    assert decisions(parts) == decisions(straight)
    assert [trial.config for trial in parts.trials] == [trial.config for trial in straight.trials]
    assert [[r.resource for r in t.reports] for t in parts.trials] == [
        [r.resource for r in t.reports] for t in straight.trials
    ]
    assert parts.replay().difference is None
