"""The private Ray names we lean on: this test says so when they move."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import ray.train
import ray.train.torch
from ray.train import Checkpoint
from ray.train.v2._internal.execution import train_fn_utils

from paretune.engine import _seam


class Recording:
    """A loop that remembers what it was handed."""

    def __init__(self) -> None:
        self.reports: list[tuple[dict[str, Any], Checkpoint | None]] = []
        self.checkpoint = Checkpoint("/nowhere")

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        self.reports.append((metrics, checkpoint))

    def get_checkpoint(self) -> Checkpoint | None:
        return self.checkpoint


def test_the_private_names_are_where_they_were() -> None:
    assert callable(train_fn_utils.set_train_fn_utils)
    assert callable(train_fn_utils.get_train_fn_utils)
    parameters = list(inspect.signature(train_fn_utils.TrainFnUtils.report).parameters)
    assert parameters[:3] == ["self", "metrics", "checkpoint"]
    assert "delete_local_checkpoint_after_upload" in parameters
    expected = {
        "report", "get_checkpoint", "get_all_reported_checkpoints", "get_dataset_shard", "get_context",
        "get_preemption_info", "is_distributed", "barrier", "broadcast_from_rank_zero",
    }  # fmt: skip
    assert train_fn_utils.TrainFnUtils.__abstractmethods__ == expected


def test_rays_public_functions_reach_the_loop_and_only_while_it_runs() -> None:
    loop = Recording()
    with _seam.inline(loop, study="trees"):
        ray.train.report({"error": 1.0})
        ray.train.report({"error": 0.5}, checkpoint=Checkpoint("/somewhere"))
        assert ray.train.get_checkpoint() is loop.checkpoint
        context = ray.train.get_context()
        assert (context.get_world_size(), context.get_world_rank(), context.get_local_rank()) == (1, 0, 0)
        assert context.get_experiment_name() == "trees"
        assert ray.train.torch.get_device().type in ("cpu", "cuda")
    assert [(metrics, checkpoint and checkpoint.path) for metrics, checkpoint in loop.reports] == [
        ({"error": 1.0}, None),
        ({"error": 0.5}, "/somewhere"),
    ]
    with pytest.raises(RuntimeError):
        ray.train.report({"error": 1.0})


def test_a_local_checkpoint_is_deleted_when_the_loop_asks_for_it(tmp_path: Any) -> None:
    (tmp_path / "weights").write_text("1")
    with _seam.inline(Recording(), study="trees"):
        ray.train.report({}, checkpoint=Checkpoint(str(tmp_path)), delete_local_checkpoint_after_upload=True)
    assert not tmp_path.exists()
