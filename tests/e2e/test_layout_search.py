"""The layout as a hyperparameter: one gang trains a model data- and pipeline-parallel, trial after trial."""

from __future__ import annotations

from pathlib import Path

import loops
import pytest

import paretune as pt

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_afterwards")]


def test_one_gang_trains_under_several_layouts(tmp_path: Path) -> None:
    """Also after trials in which one of the workers, any of them, needed more memory than there is."""
    study = pt.search(
        loops.laid_out,
        space={"lr": pt.Choice([1e-2]), "greedy": pt.Choice([0, 1, None])},
        layout={"pipeline": pt.Choice([1, 2]), "microbatches": 4, "schedule": "1f1b"},
        objectives={"error": "minimize", "cost": "minimize"},
        algorithm="grid",
        trials=6,
        workers=2,
        store=tmp_path,
        name="layouts",
        seed=0,
        progress=False,
        keep="all",
    )
    failed = [trial for trial in study.trials if trial.config["greedy"] is not None]
    well = [trial for trial in study.trials if trial.config["greedy"] is None]
    assert [trial.status for trial in failed] == ["failed"] * 4
    assert all(str(trial.reason).startswith("out of memory: ") for trial in failed)
    piped, parallel = sorted(well, key=lambda trial: -trial.config["layout.pipeline"])
    assert [(trial.status, trial.attempt) for trial in study.trials if trial in well] == [("completed", 0)] * 2
    assert piped.metrics["process"] == parallel.metrics["process"], "the workers are the same"
    assert piped.metrics["error"] == pytest.approx(parallel.metrics["error"], rel=1e-4)
    assert piped.metrics["groups"] == parallel.metrics["groups"], "what a trial leaves open is closed after it"
    for trial in well:  # both workers' parts of the last checkpoint lie in one folder
        saved = next(tmp_path.glob(f"**/checkpoints/{trial.id:05d}/*-2"))
        assert {path.name for path in saved.iterdir()} >= {"files-0.json", "files-1.json", "state.pt", ".metadata"}
