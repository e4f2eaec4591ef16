"""Ray Train's seam: how a user's `ray.train.report`, `get_checkpoint` and `get_context` reach us.

This is the only module that touches a private Ray name: `set_train_fn_utils`, which Ray Train's own local mode uses for
the same purpose. tests/unit/test_seam.py says so when it moves.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ray.train.v2._internal.execution import train_fn_utils as ray_utils

if TYPE_CHECKING:
    from ray.train import Checkpoint


class Loop(Protocol):
    """What stands behind the seam while one trial's loop runs."""

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Hand over a report and wait for the decision; raises TrialStopped when the trial is over."""

    def get_checkpoint(self) -> Checkpoint | None:
        """The trial's last checkpoint."""


class _Redirect:
    """Mixed into Ray's own utilities: reports and checkpoints go to the loop, the rest stays Ray's."""

    loop: Loop

    def report(
        self,
        metrics: dict[str, Any],
        checkpoint: Checkpoint | None = None,
        *args: Any,
        delete_local_checkpoint_after_upload: bool | None = None,
        **kwargs: Any,
    ) -> None:
        self.loop.report(metrics, checkpoint)
        if checkpoint is not None and delete_local_checkpoint_after_upload:
            shutil.rmtree(checkpoint.path)

    def get_checkpoint(self) -> Checkpoint | None:
        return self.loop.get_checkpoint()

    def get_all_reported_checkpoints(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []


class _InlineUtils(_Redirect, ray_utils.LocalTrainFnUtils):
    def __init__(self, loop: Loop, study: str) -> None:
        ray_utils.LocalTrainFnUtils.__init__(self, experiment_name=study)
        self.loop = loop


class _GangUtils(_Redirect, ray_utils.DistributedTrainFnUtils):
    def __init__(self, loop: Loop) -> None:
        self.loop = loop


@contextmanager
def inline(loop: Loop, *, study: str) -> Iterator[None]:
    """Make `loop` answer Ray Train's API in a process that is no Ray Train worker: a world of one."""
    ray_utils.set_train_fn_utils(_InlineUtils(loop, study))
    try:
        yield
    finally:
        ray_utils.set_train_fn_utils(None)


@contextmanager
def in_worker(loop: Loop) -> Iterator[None]:
    """Make `loop` answer Ray Train's API in a Ray Train worker, whose rank and world stay as they are."""
    own = ray_utils.get_train_fn_utils()
    ray_utils.set_train_fn_utils(_GangUtils(loop))
    try:
        yield
    finally:
        ray_utils.set_train_fn_utils(own)
