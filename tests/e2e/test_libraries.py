"""Loops of Lightning and of Hugging Face Transformers, as they are written for a TorchTrainer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import paretune as pt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.usefixtures("free_afterwards"),
    pytest.mark.filterwarnings("default"),  # what these libraries warn of when they are imported is not ours
]


@pytest.mark.parametrize(("library", "metric", "steps"), [("lightning", "error", 5), ("transformers", "eval_loss", 4)])
def test_a_librarys_loop_runs_unchanged_and_may_be_paused_and_promoted(
    tmp_path: Path, library: str, metric: str, steps: int
) -> None:
    """Three epochs of so many steps on two workers; of the trials that are paused after the first one, half go on."""
    pytest.importorskip(library, reason=f"{library} is not installed: paretune itself does without it")
    study = pt.search(
        importlib.import_module(f"{library}_loops").train_func, space={"x": pt.Float(0, 1)},
        objectives={metric: "minimize"}, algorithm="random", trials=4, seed=3, workers=2, store=tmp_path, name="study",
        scheduler=pt.ASHA(kind="promote", reduction_factor=2, resource="step", grace=steps, max_resource=3 * steps),
        progress=False,
    )  # fmt: skip
    assert {trial.status for trial in study.trials} == {"completed", "stopped"}
    assert any(trial.attempt > 0 for trial in study.trials)
    for trial in study.trials:
        assert [report.resource for report in trial.reports] == [steps * n for n in range(1, len(trial.reports) + 1)]
        if trial.status == "completed":
            assert len(trial.reports) == 3
            assert trial.metrics[metric] < trial.reports[0].metrics[metric]
