"""Checkpoints from which a loop resumes exactly: weights, optimizer, scheduler, epoch, each worker's random state."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import ray.train
import torch
from ray.train import Checkpoint
from torch import nn

from paretune.train.ranks import gather_to_rank_0, rank, unwrap
from paretune.train.rng import load_rng, rng_state

_FILE = "state.pt"


class Stateful(Protocol):
    """What optimizers, learning-rate schedulers and watchers have in common."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


@contextmanager
def snapshot(
    model: nn.Module,
    optimizer: Stateful,
    *,
    epoch: int,
    scheduler: Stateful | None = None,
    watch: Stateful | None = None,
) -> Iterator[Checkpoint | None]:
    """Yield a checkpoint of the state after `epoch` finished epochs; its folder lives until the block ends.

    Every worker enters the block (their random states are gathered), rank 0 gets the checkpoint, the others None,
    which is what `ray.train.report` expects of a data-parallel trial. Report inside the block::

        with snapshot(model, optimizer, epoch=epoch) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)
    """
    rng = gather_to_rank_0(rng_state())
    if rank() != 0:
        yield None
        return
    state = {
        "epoch": epoch,
        "model": unwrap(model).state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler is not None else None,
        "watch": watch.state_dict() if watch is not None else None,
        "rng": rng,
    }
    with tempfile.TemporaryDirectory(prefix="paretune-checkpoint-") as folder:
        torch.save(state, Path(folder) / _FILE)
        yield Checkpoint.from_directory(folder)


def restore(
    model: nn.Module, optimizer: Stateful, *, scheduler: Stateful | None = None, watch: Stateful | None = None
) -> int:
    """Load the checkpoint that Ray Train hands this trial, if any; return the number of finished epochs, else 0.

    Call it when everything is built and seeded, right before the loop over epochs. Exact when the number of workers
    is that of the saved run; a worker that has no saved random state derives one from rank 0's.
    """
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / _FILE, map_location="cpu", weights_only=True)
    unwrap(model).load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"])
    if watch is not None:
        watch.load_state_dict(state["watch"])
    load_rng(state["rng"])
    return int(state["epoch"])
