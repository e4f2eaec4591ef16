"""What runs in a gang's workers: Ray Train's run, and in each rank trial after trial until there are no more."""

from __future__ import annotations

import time
from typing import Any, Literal

import ray
import torch

from paretune.engine import _notice, _seam, boundary, checkpoints, companion, loop, resources
from paretune.engine.messages import Outcome, RankReport, Setup, Task
from paretune.errors import DataError, ReportError, TrialStopped
from paretune.layouts import assembled
from paretune.train import open_runs

_NEVER_S = 1e9
"""Ray Train resizes a running group at any moment; the gang waits for a checkpoint."""


def trainer(setup: Setup, name: str, namespace: str, *, scratch: str) -> Any:
    """The Ray Train run whose workers serve the gang of that name."""
    from ray.train import FailureConfig, RunConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    scaling: Any = ray.train.ScalingConfig  # type checkers take it for the older one, which knows no ranges
    return TorchTrainer(
        _worker_main,
        train_loop_config={"setup": setup, "gang": name, "namespace": namespace},
        torch_config=TorchConfig(backend=resources.backend(setup.gpus)),
        scaling_config=scaling(
            num_workers=setup.workers if setup.min_workers == setup.workers else (setup.min_workers, setup.workers),
            elastic_resize_monitor_interval_s=_NEVER_S,
            use_gpu=setup.gpus > 0,
            resources_per_worker={"CPU": setup.cpus, **({"GPU": setup.gpus} if setup.gpus else {})},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=scratch,  # Ray Train wants one; nothing is kept there
            failure_config=FailureConfig(max_failures=-1),  # the gang counts the losses of each trial itself
            callbacks=[_notice.SigtermIsANotice()],  # type: ignore[list-item]  # Ray documents the public ones alone
        ),
    )


class GangRestart(RuntimeError):
    """Raised by a rank so that Ray Train restarts the group."""


def _worker_main(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs: trial after trial until there are no more."""
    setup: Setup = config["setup"]
    gang: Any = ray.get_actor(config["gang"], namespace=config["namespace"])
    context, group = ray.train.get_context(), _placement_group()
    rank = context.get_world_rank()
    train = loop.load(setup.code, setup.path)
    ray.get(gang.join.remote(rank, group, context.get_world_size()))
    companion.start(gang, rank, group)
    while True:
        task: Task | Literal["leave"] | None = ray.get(gang.next_task.remote(rank, group))
        if task is None:
            return
        if task == "leave" or _run_task(setup, task, rank=rank, gang=gang, train=train) == "restart":
            raise GangRestart(f"rank {rank} makes room for a new group of workers")
        if not torch.distributed.is_initialized():
            raise GangRestart(f"rank {rank}: trial {task.trial} has destroyed the process group")
        if setup.fresh:
            return


def _run_task(setup: Setup, task: Task, *, rank: int, gang: Any, train: Any) -> str:
    member = _Member(setup, task, rank=rank, gang=gang)
    with _seam.in_worker(member, _seam.Identity(setup.study, task.trial, setup.folder)):
        return loop.run(train, assembled(setup.constants, task.config), seed=task.seed, tell=member.finish)


def _placement_group() -> str:
    from ray.util.placement_group import get_current_placement_group

    group = get_current_placement_group()
    assert group is not None, "Ray Train's workers run in a placement group, a new one for each group of them"
    return str(group.id.hex())


class _Member:
    """Behind the seam in one rank."""

    def __init__(self, setup: Setup, task: Task, *, rank: int, gang: Any) -> None:
        self._setup, self._task, self._rank, self._gang = setup, task, rank, gang
        self._checkpoint = task.checkpoint
        self._clock = time.monotonic()
        self.step, self.left = task.step, False

    def report(self, metrics: dict[str, Any], checkpoint: Any) -> None:
        """Behind `ray.train.report`: hand over, then wait for all ranks and the decision."""
        step, why, error = self.step + 1, None, None
        numbers: dict[str, float] = {}
        try:
            numbers, why = boundary.accept(metrics, self._setup.objectives, self._setup.resource)
        except ReportError as found:
            error = str(found)
        saved = self._save(checkpoint, step) if checkpoint is not None and not why and not error else None
        mine = RankReport(
            step=step,
            metrics=numbers,
            resource=boundary.resource(numbers, step, self._setup.resource),
            seconds=time.monotonic() - self._clock,
            checkpoint=saved,
            diverged=f"{why} at report {step}" if why else None,
            error=error,
            stragglers=open_runs.stragglers() if self._rank == 0 else (),
        )
        key = (self._task.trial, self._task.attempt)
        decision: str = ray.get(self._gang.report.remote(self._rank, key, mine))
        self._clock = time.monotonic()
        self.left = decision == "leave"
        if self.left or decision == "stop":
            raise TrialStopped
        if decision != "continue":
            raise ReportError(decision)
        self.step, self._checkpoint = step, saved or self._checkpoint

    def finish(self, outcome: Outcome) -> str:
        """The loop is over: wait for the other ranks. Returns "next", or "restart" to make room for a new group."""
        if self.left:
            return "restart"
        if outcome.reason is None and self.step == self._task.inherited:
            outcome = loop.SILENT
        key = (self._task.trial, self._task.attempt)
        return str(ray.get(self._gang.finished.remote(self._rank, key, outcome)))

    def get_checkpoint(self) -> Any:
        """Behind `ray.train.get_checkpoint`."""
        return checkpoints.open_checkpoint(self._checkpoint, self._setup.folder) if self._checkpoint else None

    def dataset_shard(self, name: str) -> Any:
        """Behind `ray.train.get_dataset_shard`: every rank asks, and gets its own."""
        from paretune.engine import data  # imports Ray Data, which few studies need

        data.check(name, self._setup.ingest)
        key = (self._task.trial, self._task.attempt)
        shard = ray.get(self._gang.dataset_shard.remote(self._rank, key, name, data.node()))
        if shard is None:
            raise DataError(f"ray.train.get_dataset_shard: the trial ended before every rank asked for {name!r}")
        return shard

    def saved(self) -> Any:
        """Behind `ray.train.get_all_reported_checkpoints`: what the gang has accepted, the same on every rank."""
        return checkpoints.remaining(ray.get(self._gang.saved.remote()), self._setup.folder)

    def _save(self, checkpoint: Any, step: int) -> str:
        trial, attempt = self._task.trial, self._task.attempt
        return checkpoints.save(checkpoint, self._setup.folder, trial=trial, attempt=attempt, step=step)
