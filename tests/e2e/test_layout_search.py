"""The layout as a hyperparameter: one gang trains a model data- and pipeline-parallel, trial after trial."""

from __future__ import annotations

from pathlib import Path

import loops
import pytest

import paretune as pt

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_afterwards")]


def test_one_gang_trains_under_several_layouts(tmp_path: Path) -> None:
    study = pt.search(
        loops.laid_out,
        space={"lr": pt.Choice([1e-2])},
        layout={"pipeline": pt.Choice([1, 2]), "microbatches": 4, "schedule": "1f1b"},
        objectives={"error": "minimize", "cost": "minimize"},
        algorithm="grid",
        trials=2,
        workers=2,
        store=tmp_path,
        name="layouts",
        seed=0,
        progress=False,
        keep="all",
    )
    piped, parallel = sorted(study.trials, key=lambda trial: -trial.config["layout.pipeline"])
    assert [trial.status for trial in study.trials] == ["completed"] * 2
    assert piped.metrics["error"] == pytest.approx(parallel.metrics["error"], rel=1e-4)
    assert piped.metrics["groups"] == parallel.metrics["groups"], "what a trial leaves open is closed after it"
    for trial in study.trials:  # both workers' parts of the last checkpoint lie in one folder
        saved = next(tmp_path.glob(f"**/checkpoints/{trial.id:05d}/*-2"))
        assert {path.name for path in saved.iterdir()} >= {"files-0.json", "files-1.json", "state.pt", ".metadata"}
