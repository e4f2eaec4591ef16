"""Ray Train's seam: how a user's `ray.train.report`, `get_checkpoint`, `get_context` ... reach us.

This module, _notice.py and _leftovers.py are the only ones that touch private Ray names; here `set_train_fn_utils`,
which Ray Train's own local mode uses for the same purpose, and what its utilities are made of. tests/unit/test_seam.py
says so when they move.

To a user's loop a trial is what a run of a TorchTrainer is: it has a name of its own, its checkpoints, its storage.
What a trial cannot have (a validation run beside it, an upload function) is refused where it is asked for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ray.train import ReportedCheckpoint, ReportedCheckpointStatus
from ray.train.v2._internal.execution import train_fn_utils as ray_utils
from ray.train.v2._internal.execution.storage import StorageContext
from ray.train.v2.api import context as ray_context
from ray.train.v2.api.report_config import CheckpointUploadMode

from paretune.engine.checkpoints import located
from paretune.errors import UnsupportedError

if TYPE_CHECKING:
    from ray.data import DataIterator
    from ray.train import Checkpoint


class Loop(Protocol):
    """What stands behind the seam while one trial's loop runs."""

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Hand over a report and wait for the decision; raises TrialStopped when the trial is over."""

    def get_checkpoint(self) -> Checkpoint | None:
        """The trial's last checkpoint."""

    def saved(self) -> list[tuple[Checkpoint, Mapping[str, float]]]:
        """The trial's checkpoints that are still there, oldest first, with what was reported with them."""

    def dataset_shard(self, name: str) -> DataIterator:
        """This rank's shard of a dataset, for this trial; raises DataError where there is none of that name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which trial of which study it is, and the study's folder (a path or URI)."""

    study: str
    trial: int
    folder: str

    @property
    def name(self) -> str:
        """The trial as the run that it is to the user's loop; what is named after it never meets another trial's."""
        return f"{self.study}-{self.trial:05d}"


class _TrialContext:
    """Mixed into Ray's own contexts: the trial's names and places; ranks and world stay Ray's."""

    identity: Identity

    def get_experiment_name(self) -> str:
        return self.identity.name

    def get_trial_name(self) -> str:
        return self.identity.name

    def get_trial_id(self) -> str:
        return f"{self.identity.trial:05d}"

    def get_storage(self) -> StorageContext:
        """Where the loop may keep files beside its checkpoints: `experiment_fs_path` on `storage_filesystem`."""
        filesystem, root = located(self.identity.folder)
        return StorageContext(root, f"files/{self.identity.trial:05d}", filesystem, read_only=True)

    def get_trial_dir(self) -> str:
        raise UnsupportedError(
            "ray.train.get_context().get_trial_dir: a trial has no folder on the worker's disk",
            hint="write to a tempfile.TemporaryDirectory(), and report what is to stay as a checkpoint",
        )

    def get_trial_resources(self) -> Any:
        raise UnsupportedError(
            "ray.train.get_context().get_trial_resources: a trial has no placement group of its own",
            hint="get_world_size() workers have the cpus and gpus of the study's train settings each",
        )

    def get_metadata(self) -> dict[str, Any]:
        raise UnsupportedError(
            "ray.train.get_context().get_metadata: there is no Trainer that metadata was given to",
            hint="put it under train: config; the loop finds it in its config",
        )


class _InlineContext(_TrialContext, ray_context.LocalTrainContext):
    def __init__(self, identity: Identity) -> None:
        ray_context.LocalTrainContext.__init__(self, experiment_name=identity.name)
        self.identity = identity


class _GangContext(_TrialContext, ray_context.DistributedTrainContext):
    def __init__(self, identity: Identity) -> None:
        self.identity = identity


class _Redirect:
    """Mixed into Ray's own utilities: what belongs to the trial goes to the loop, ranks and barriers stay Ray's."""

    loop: Loop

    def report(
        self,
        metrics: dict[str, Any],
        checkpoint: Checkpoint | None = None,
        checkpoint_dir_name: str | None = None,  # checkpoints are named after trial, attempt and report
        checkpoint_upload_mode: CheckpointUploadMode = CheckpointUploadMode.SYNC,  # the study takes its copy at once
        delete_local_checkpoint_after_upload: bool | None = None,
        checkpoint_upload_fn: Any = None,
        validation: Any = False,
    ) -> None:
        if validation:
            raise UnsupportedError(
                "ray.train.report: validation: nothing is validated beside a trial",
                hint="measure in the loop, before ray.train.report, and report the result",
            )
        if checkpoint_upload_fn is not None:
            raise UnsupportedError(
                "ray.train.report: checkpoint_upload_fn: a study copies its checkpoints to its store itself",
                hint="leave checkpoint_upload_fn out",
            )
        self.loop.report(metrics, checkpoint)
        if delete_local_checkpoint_after_upload is None:
            delete_local_checkpoint_after_upload = checkpoint_upload_mode.default_delete_local_checkpoint_after_upload()
        if checkpoint is not None and delete_local_checkpoint_after_upload:
            shutil.rmtree(checkpoint.path)

    def get_checkpoint(self) -> Checkpoint | None:
        return self.loop.get_checkpoint()

    def get_dataset_shard(self, dataset_info: Any) -> DataIterator:
        return self.loop.dataset_shard(dataset_info.dataset_name)

    def get_all_reported_checkpoints(self, *args: Any, **kwargs: Any) -> list[ReportedCheckpoint]:
        return [
            ReportedCheckpoint(checkpoint, dict(metrics), ReportedCheckpointStatus.COMMITTED)
            for checkpoint, metrics in self.loop.saved()
        ]


class _InlineUtils(_Redirect, ray_utils.LocalTrainFnUtils):
    def __init__(self, loop: Loop, identity: Identity) -> None:
        ray_utils.LocalTrainFnUtils.__init__(self, experiment_name=identity.name)
        self._context = _InlineContext(identity)
        self.loop = loop


class _GangUtils(_Redirect, ray_utils.DistributedTrainFnUtils):
    def __init__(self, loop: Loop, identity: Identity) -> None:
        self.loop, self._identity = loop, identity

    def get_context(self) -> _GangContext:
        return _GangContext(self._identity)


_WORLD_OF_ONE = {"RANK": "0", "LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
"""What Ray Train, as torchrun, tells each of its workers, and some libraries look for."""


@contextmanager
def inline(loop: Loop, identity: Identity) -> Iterator[None]:
    """Make `loop` answer Ray Train's API in a process that is no Ray Train worker: a world of one."""
    before = {name: os.environ.get(name) for name in _WORLD_OF_ONE}
    os.environ.update(_WORLD_OF_ONE)
    ray_utils.set_train_fn_utils(_InlineUtils(loop, identity))
    try:
        yield
    finally:
        ray_utils.set_train_fn_utils(None)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def in_worker(loop: Loop, identity: Identity) -> Iterator[None]:
    """Make `loop` answer Ray Train's API in a Ray Train worker, whose rank and world stay as they are."""
    own = ray_utils.get_train_fn_utils()
    ray_utils.set_train_fn_utils(_GangUtils(loop, identity))
    try:
        yield
    finally:
        ray_utils.set_train_fn_utils(own)
