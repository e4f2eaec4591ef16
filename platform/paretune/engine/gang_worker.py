"""What runs in a gang's workers: Ray Train's run, and in each rank trial after trial until there are no more."""

from __future__ import annotations

import time
import uuid
from typing import Any

import ray

from paretune.engine import _seam, boundary, checkpoints, loop
from paretune.engine.messages import RankReport, Setup, Task
from paretune.errors import ReportError, TrialStopped
from paretune.layouts import assembled


def trainer(setup: Setup, name: str, namespace: str, *, scratch: str) -> Any:
    """The Ray Train run whose workers serve the gang of that name."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    return TorchTrainer(
        _worker_main,
        train_loop_config={"setup": setup, "gang": name, "namespace": namespace},
        scaling_config=ScalingConfig(
            num_workers=setup.workers,
            use_gpu=setup.gpus > 0,
            resources_per_worker={"CPU": setup.cpus, **({"GPU": setup.gpus} if setup.gpus else {})},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=scratch,  # Ray Train wants one; nothing is kept there
            failure_config=FailureConfig(max_failures=-1),  # the gang counts the losses of each trial itself
        ),
    )


class GangRestart(RuntimeError):
    """Raised by a rank whose companions hang, so that Ray Train restarts the group."""


def _worker_main(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs: trial after trial until there are no more."""
    setup: Setup = config["setup"]
    gang: Any = ray.get_actor(config["gang"], namespace=config["namespace"])
    rank, member, group = ray.train.get_context().get_world_rank(), uuid.uuid4().hex, _placement_group()
    train = loop.load(setup.code, setup.path)
    while True:
        task: Task | None = ray.get(gang.next_task.remote(rank, member, group))
        if task is None:
            return
        if _run_task(setup, task, rank=rank, gang=gang, train=train) == "restart":
            raise GangRestart(f"rank {rank}: other ranks did not end trial {task.trial} in time")
        if setup.fresh:
            return


def _run_task(setup: Setup, task: Task, *, rank: int, gang: Any, train: Any) -> str:
    member = _Member(setup, task, rank=rank, gang=gang)
    with _seam.in_worker(member, _seam.Identity(setup.study, task.trial, setup.folder)):
        outcome = loop.run(train, assembled(setup.constants, task.config), seed=task.seed)
    if outcome.reason is None and member.step == task.inherited:
        outcome = loop.SILENT
    answer: str = ray.get(gang.finished.remote(rank, (task.trial, task.attempt), outcome))
    return answer


def _placement_group() -> str | None:
    from ray.util.placement_group import get_current_placement_group

    group = get_current_placement_group()
    return None if group is None else group.id.hex()


class _Member:
    """Behind the seam in one rank."""

    def __init__(self, setup: Setup, task: Task, *, rank: int, gang: Any) -> None:
        self._setup, self._task, self._rank, self._gang = setup, task, rank, gang
        self._checkpoint = task.checkpoint
        self._clock = time.monotonic()
        self.step = task.step

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
        )
        key = (self._task.trial, self._task.attempt)
        decision: str = ray.get(self._gang.report.remote(self._rank, key, mine))
        self._clock = time.monotonic()
        if decision == "stop":
            raise TrialStopped
        if decision != "continue":
            raise ReportError(decision)
        self.step, self._checkpoint = step, saved or self._checkpoint

    def get_checkpoint(self) -> Any:
        """Behind `ray.train.get_checkpoint`."""
        return checkpoints.open_checkpoint(self._checkpoint, self._setup.folder) if self._checkpoint else None

    def saved(self) -> Any:
        """Behind `ray.train.get_all_reported_checkpoints`: what the gang has accepted, the same on every rank."""
        return checkpoints.remaining(ray.get(self._gang.saved.remote()), self._setup.folder)

    def _save(self, checkpoint: Any, step: int) -> str:
        trial, attempt = self._task.trial, self._task.attempt
        return checkpoints.save(checkpoint, self._setup.folder, trial=trial, attempt=attempt, step=step)
