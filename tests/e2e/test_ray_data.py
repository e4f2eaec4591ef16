"""Studies whose loops read Ray Data: every row once per epoch, in every trial, also after a restart of the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch_trainer_loops

import paretune as pt

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("free_afterwards"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),  # Ray Data's own, of its own settings
]

ROWS = 40


def search(store: Path, **settings: Any) -> pt.Study:
    settings = {"datasets": torch_trainer_loops.make_datasets, "config": {"rows": ROWS}, "trials": 2, **settings}
    return pt.search(
        torch_trainer_loops.train_func_on_a_dataset, space={"x": pt.Float(0, 1)}, objectives={"error": "minimize"},
        algorithm="random", concurrency=4, store=store, name="study", progress=False, **settings,
    )  # fmt: skip


def check(study: pt.Study, workers: int) -> None:
    """Two workers of a CPU each and one more for each of two datasets fill the four CPUs there are."""
    for trial in study.trials:
        assert (trial.status, trial.reason) == ("completed", None)
        assert len(trial.reports) == 2
        for epoch in trial.reports:
            found = {key: epoch.metrics[key] for key in ("rows", "different", "sum", "shards", "checked")}
            expected = {"rows": ROWS, "different": ROWS, "sum": sum(range(ROWS)), "shards": workers}
            assert found == {**expected, "checked": 6 / workers}


def test_the_ranks_shards_are_disjoint_and_complete_in_trial_after_trial(tmp_path: Path) -> None:
    """Each trial leaves an epoch behind that it has begun and not read to its end."""
    check(search(tmp_path, workers=2), workers=2)


@pytest.mark.slow
def test_a_resumed_study_reads_the_data_it_had(tmp_path: Path) -> None:
    search(tmp_path)
    study = pt.load("study", store=tmp_path).resume(trials=3, progress=False)
    assert len(study.trials) == 3
    check(study, workers=1)
    assert study.spec.to_dict()["datasets"] == {
        "made_by": "torch_trainer_loops:make_datasets",
        "contents": {
            "train": {"rows": ROWS, "columns": {"x": "int64"}},
            "val": {"rows": 6, "columns": {"id": "int64"}},
        },
    }
    fewer = {"train": torch_trainer_loops.make_datasets({"rows": 30})["train"]}
    with pytest.raises(pt.errors.DataError, match="train: 40 rows of x before, 30 rows of x now"):
        study.resume(trials=4, datasets=fewer, progress=False)


@pytest.mark.slow
def test_datasets_given_in_memory_must_be_given_again(tmp_path: Path) -> None:
    import ray.data

    datasets = {"train": ray.data.from_items([{"x": i} for i in range(ROWS)]), "val": ray.data.range(6)}
    study = search(tmp_path, datasets=datasets)
    check(study, workers=1)
    with pytest.raises(pt.errors.DataError, match="train: was made in memory"):
        study.resume(trials=3, progress=False)
    check(study.resume(trials=3, datasets=datasets, progress=False), workers=1)
