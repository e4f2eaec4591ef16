"""The private Ray names we lean on: this test says so when they move."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray.train
import ray.train.collective
import ray.train.torch
from pyarrow import fs
from ray.train import Checkpoint, CheckpointUploadMode, ReportedCheckpointStatus
from ray.train.v2._internal.execution import train_fn_utils

from paretune.engine import _seam
from paretune.errors import UnsupportedError

TREES = _seam.Identity("trees", 3, "/studies/trees")


class Recording:
    """A loop that remembers what it was handed."""

    def __init__(self) -> None:
        self.reports: list[tuple[dict[str, Any], Checkpoint | None]] = []
        self.checkpoint = Checkpoint("/nowhere")

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        self.reports.append((metrics, checkpoint))

    def get_checkpoint(self) -> Checkpoint | None:
        return self.checkpoint

    def saved(self) -> list[tuple[Checkpoint, Mapping[str, float]]]:
        return [(self.checkpoint, {"error": 1.0})]


def test_the_private_names_are_where_they_were() -> None:
    assert callable(train_fn_utils.set_train_fn_utils)
    assert callable(train_fn_utils.get_train_fn_utils)
    parameters = list(inspect.signature(train_fn_utils.TrainFnUtils.report).parameters)
    assert parameters[:3] == ["self", "metrics", "checkpoint"]
    assert parameters == list(inspect.signature(_seam._Redirect.report).parameters)
    expected = {
        "report", "get_checkpoint", "get_all_reported_checkpoints", "get_dataset_shard", "get_context",
        "get_preemption_info", "is_distributed", "barrier", "broadcast_from_rank_zero",
    }  # fmt: skip
    assert train_fn_utils.TrainFnUtils.__abstractmethods__ == expected


def test_rays_public_functions_reach_the_loop_and_only_while_it_runs() -> None:
    loop, before = Recording(), dict(os.environ)
    with _seam.inline(loop, TREES):
        ray.train.report({"error": 1.0})
        ray.train.report({"error": 0.5}, checkpoint=Checkpoint("/somewhere"))
        assert ray.train.get_checkpoint() is loop.checkpoint
        context = ray.train.get_context()
        assert (context.get_world_size(), context.get_world_rank(), context.get_local_rank()) == (1, 0, 0)
        assert (context.get_local_world_size(), context.get_node_rank(), os.environ["WORLD_SIZE"]) == (1, 0, "1")
        names = (context.get_experiment_name(), context.get_trial_name(), context.get_trial_id())
        assert names == ("trees-00003", "trees-00003", "00003")
        assert context.get_storage().experiment_fs_path == "/studies/trees/files/00003"
        (reported,) = ray.train.get_all_reported_checkpoints()
        assert (reported.checkpoint, reported.metrics) == (loop.checkpoint, {"error": 1.0})
        assert reported.status is ReportedCheckpointStatus.COMMITTED
        assert ray.train.collective.broadcast_from_rank_zero(5) == 5
        assert ray.train.torch.get_device().type in ("cpu", "cuda")
    assert [(metrics, checkpoint and checkpoint.path) for metrics, checkpoint in loop.reports] == [
        ({"error": 1.0}, None),
        ({"error": 0.5}, "/somewhere"),
    ]
    with pytest.raises(RuntimeError):
        ray.train.report({"error": 1.0})
    assert os.environ == before


@pytest.mark.parametrize(
    "how", [{"delete_local_checkpoint_after_upload": True}, {"checkpoint_upload_mode": CheckpointUploadMode.ASYNC}]
)
def test_a_local_checkpoint_is_deleted_when_the_loop_asks_for_it(tmp_path: Path, how: dict[str, Any]) -> None:
    (tmp_path / "weights").write_text("1")
    with _seam.inline(Recording(), TREES):
        ray.train.report({}, checkpoint=Checkpoint(str(tmp_path)), **how)
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda: ray.train.report({}, Checkpoint("/somewhere"), validation=True), "measure in the loop"),
        (lambda: ray.train.report({}, checkpoint_upload_fn=fs.copy_files), "leave checkpoint_upload_fn out"),
        (lambda: ray.train.get_context().get_trial_dir(), "TemporaryDirectory"),
        (lambda: ray.train.get_context().get_trial_resources(), "train settings"),
        (lambda: ray.train.get_context().get_metadata(), "train: config"),
    ],
)
def test_what_a_trial_cannot_have_is_refused_with_what_to_do(ask: Callable[[], object], hint: str) -> None:
    with _seam.inline(Recording(), TREES), pytest.raises(UnsupportedError, match=r"ray\.train") as caught:
        ask()
    assert hint in str(caught.value)
