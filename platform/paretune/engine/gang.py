"""A gang: one long-lived Ray Train run that trains many trials, one after the other.

    trial actor            Gang (async actor)             workers (TorchTrainer's, one rank each)
      assign(task)  ----->  task
                            task                  <-----   next_task(rank)      every rank, between trials
      advance()     <-----  Reported              <-----   report(rank, ...)    a barrier: all ranks wait here
      advance()     ----->  decision              ----->   continue | stop
      advance()     <-----  Ended                 <-----   finished(rank, ...)

Every rank speaks to the gang itself, so that a rank that fails can say so while the others hang in a collective: they
are given a moment to end, then the group is restarted. A group that comes back (a worker was killed) is recognised by
its new member ids; its trial goes on as a new attempt from the last checkpoint that the driver has recorded.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import traceback
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from paretune.engine.messages import Ended, Message, Reported, Restarted, Setup, Task
from paretune.errors import ParetuneError
from paretune.records import Ending

GRACE_S = 10.0
"""How long the other ranks may take to end once one has failed, before the group is restarted."""

START_TIMEOUT_S = 600.0
"""How long the first worker may take to come up: images are pulled and nodes are started in that time."""

Decision = Literal["continue", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReport:
    """One rank's share in a report; rank 0's numbers count."""

    step: int
    metrics: dict[str, float]
    resource: float
    seconds: float
    checkpoint: str | None
    diverged: str | None
    error: str | None


@dataclass(slots=True)
class _Run:
    """One attempt at a task: who waits at a report, who is through."""

    task: Task
    waiting: dict[int, RankReport] = field(default_factory=dict)
    decision: asyncio.Future[Decision | str] | None = None
    outcomes: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    through: asyncio.Future[Literal["next", "restart"]] | None = None
    started: set[int] = field(default_factory=set)
    delivered: bool = False  # the trial actor has the report that the ranks wait with
    told_end: bool = False
    cancelled: bool = False
    ending: tuple[Ending, str | None, dict[str, float]] | None = None


class Gang:
    """The actor between a trial actor and the workers. All methods run on one event loop."""

    def __init__(self, setup: Setup, name: str, namespace: str) -> None:
        self._setup = setup
        self._members: dict[int, str] = {}
        self._run: _Run | None = None
        self._born = time.monotonic()
        self._losses = 0
        self._accepted: tuple[int, str | None] = (0, None)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._closing = False
        self._broken: str | None = None
        self._placement_groups: set[str] = set()
        self._thread = threading.Thread(target=self._fit, args=(name, namespace), daemon=True)
        self._thread.start()

    # -- called by the trial actor and the driver --------------------------------------------------------------------

    async def assign(self, task: Task) -> None:
        """Take a task; one that still runs is stopped first."""
        while self._run is not None:
            self._run.cancelled = True
            self._release(self._run, "stop")
            await self._wait_for_change()
        self._inbox = asyncio.Queue()
        self._losses, self._accepted = 0, (task.step, task.checkpoint)
        self._run = _Run(task)
        self._change()

    async def advance(self) -> Message:
        """Let the loop go on from its last report, and wait for what comes next."""
        run = self._run
        if run is not None and run.delivered and run.waiting:
            report = run.waiting[0]
            self._accepted = (report.step, report.checkpoint or self._accepted[1])
            self._release(run, "continue")
        getter = asyncio.ensure_future(self._inbox.get())
        while not getter.done():
            self._check_health(getter)
            await asyncio.wait([getter], timeout=1.0)
        message = getter.result()
        if self._run is not None and isinstance(message, Reported):
            self._run.delivered = True
        return message

    def _check_health(self, getter: asyncio.Future[Message]) -> None:
        late = not self._members and time.monotonic() - self._born > START_TIMEOUT_S
        if late and self._broken is None:
            self._broken = f"no worker has come up within {START_TIMEOUT_S:g} s"
        if self._broken is not None:
            getter.cancel()
            raise ParetuneError(f"the gang of {self._setup.workers} workers broke down: {self._broken}")

    async def stop_task(self) -> None:
        """End the present task at its report; returns when every rank is through."""
        while self._run is not None:
            self._run.cancelled = True
            self._release(self._run, "stop")
            await self._wait_for_change()

    async def placement_groups(self) -> set[str]:
        """The ids of the placement groups that the workers run in."""
        return self._placement_groups

    async def close(self) -> None:
        """Stop the task, let the workers go, and wait until Ray Train has freed what they held."""
        self._closing = True
        await self.stop_task()
        self._change()
        while self._thread.is_alive():
            await asyncio.sleep(0.05)

    # -- called by the workers ---------------------------------------------------------------------------------------

    async def next_task(self, rank: int, member: str, placement_group: str | None) -> Task | None:
        """The task that this rank runs next; None when the gang is to end."""
        if self._members.get(rank, member) != member:
            self._regroup()
        self._members[rank] = member
        if placement_group:
            self._placement_groups.add(placement_group)
        while True:
            if self._closing and self._run is None:
                return None
            run = self._run
            if run is not None and rank not in run.outcomes:
                run.started.add(rank)
                return run.task
            await self._wait_for_change()

    async def report(self, rank: int, key: tuple[int, int], report: RankReport) -> Decision | str:
        """Wait for all ranks, then for the decision; anything but "continue" and "stop" is an error's text."""
        run = self._run
        if run is None or (run.task.trial, run.task.attempt) != key or run.cancelled or run.told_end:
            return "stop"
        if run.outcomes:
            return f"rank {rank} reports, but rank {min(run.outcomes)} has returned: every rank must report alike"
        if run.decision is None:
            run.decision = asyncio.get_running_loop().create_future()
        decision = run.decision
        run.waiting[rank] = report
        if len(run.waiting) == self._setup.workers:
            self._complete_report(run)
        return await decision

    async def finished(self, rank: int, key: tuple[int, int], reason: str | None, trace: str | None) -> str:
        """The rank's loop is over; wait for the others. Returns "next", or "restart" when they do not come."""
        run = self._run
        if run is None or (run.task.trial, run.task.attempt) != key:
            return "next"
        if run.through is None:
            run.through = asyncio.get_running_loop().create_future()
        through = run.through
        run.outcomes[rank] = (reason, trace)
        if run.waiting and reason is None and not run.cancelled and run.ending is None:
            others = ", ".join(map(str, sorted(run.waiting)))
            reason = f"rank {rank} returned while rank {others} waits in ray.train.report: every rank must report alike"
            run.outcomes[rank] = (reason, None)
        if len(run.outcomes) == self._setup.workers:
            self._conclude(run, "next")
        elif reason is not None or run.cancelled or run.ending is not None:
            self._release(run, "stop")
            self._tell_end(run)
            asyncio.get_running_loop().call_later(GRACE_S, self._conclude, run, "restart")
        return await through

    # -- inside ------------------------------------------------------------------------------------------------------

    def _complete_report(self, run: _Run) -> None:
        first = run.waiting[0]
        if first.error is not None:
            self._release(run, first.error)
        elif first.diverged is not None:
            run.ending = ("diverged", first.diverged, first.metrics)
            self._release(run, "stop")
        else:
            saved = next((r.checkpoint for _, r in sorted(run.waiting.items()) if r.checkpoint), None)
            run.waiting[0] = replace(first, checkpoint=saved)
            self._inbox.put_nowait(
                Reported(
                    trial=run.task.trial,
                    attempt=run.task.attempt,
                    step=first.step,
                    resource=first.resource,
                    metrics=first.metrics,
                    worker_seconds=sum(r.seconds for r in run.waiting.values()),
                    checkpoint=saved,
                )
            )

    def _release(self, run: _Run, decision: Decision | str) -> None:
        """Answer the ranks that wait at a report."""
        waiting, run.decision, run.waiting, run.delivered = run.decision, None, {}, False
        if waiting is not None and not waiting.done():
            waiting.set_result(decision)

    def _conclude(self, run: _Run, how: Literal["next", "restart"]) -> None:
        """All ranks are through, or the rest has had its time."""
        if run.through is None or run.through.done():
            return
        self._tell_end(run)
        run.through.set_result(how)
        if self._run is run:
            self._run = None
        self._change()

    def _tell_end(self, run: _Run) -> None:
        """Tell the trial actor how the task ended, once."""
        if run.told_end or run.cancelled:
            return
        run.told_end = True
        failures = [outcome for _, outcome in sorted(run.outcomes.items()) if outcome[0] is not None]
        reason, trace = failures[0] if failures else (None, None)
        status: Ending = "completed" if reason is None else "failed"
        metrics: dict[str, float] | None = None
        if run.ending is not None:
            (status, reason, metrics), trace = run.ending, None
        self._inbox.put_nowait(
            Ended(
                trial=run.task.trial,
                attempt=run.task.attempt,
                status=status,
                reason=reason,
                traceback=trace,
                metrics=metrics,
            )
        )

    def _regroup(self) -> None:
        """The workers are new: what the old ones were doing is lost, their trial goes on or is given up."""
        self._members = {}
        run = self._run
        if run is None or not run.started:
            return
        self._run = None
        self._release(run, "stop")
        self._losses += 1
        if run.told_end or run.cancelled:
            self._change()
            return
        if self._losses > self._setup.retries:
            reason = f"lost a worker {self._losses} times (train: retries is {self._setup.retries})"
            self._inbox.put_nowait(
                Ended(trial=run.task.trial, attempt=run.task.attempt, status="failed", reason=reason)
            )
            self._change()
            return
        step, checkpoint = self._accepted
        task = replace(run.task, attempt=run.task.attempt + 1, step=step, checkpoint=checkpoint)
        self._run = _Run(task)
        self._inbox.put_nowait(Restarted(trial=task.trial, attempt=task.attempt, checkpoint=checkpoint))
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_for_change(self) -> None:
        await self._changed.wait()

    def _fit(self, name: str, namespace: str) -> None:
        """In a thread: the Ray Train run, again and again when every trial gets fresh workers."""
        try:
            with tempfile.TemporaryDirectory(prefix="paretune-", ignore_cleanup_errors=True) as scratch:
                while True:
                    _trainer(self._setup, name, namespace, scratch=scratch).fit()
                    if self._closing or not self._setup.fresh:
                        return
        except Exception:
            if not self._closing:
                self._broken = traceback.format_exc()


def _trainer(setup: Setup, name: str, namespace: str, *, scratch: str) -> Any:
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


# -- in the workers ----------------------------------------------------------------------------------------------------


class GangRestart(RuntimeError):
    """Raised by a rank whose companions hang, so that Ray Train restarts the group."""


def _worker_main(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs: trial after trial until there are no more."""
    import ray

    from paretune.engine import loop

    setup: Setup = config["setup"]
    gang: Any = ray.get_actor(config["gang"], namespace=config["namespace"])
    rank, member, group = ray.train.get_context().get_world_rank(), uuid.uuid4().hex, _placement_group()
    train = loop.load(setup.code, setup.path)
    while True:
        task: Task | None = ray.get(gang.next_task.remote(rank, member, group))
        if task is None:
            return
        if _run_task(setup, task, rank=rank, gang=gang, train=train) == "restart":
            raise GangRestart(f"rank {rank}: other ranks did not end trial {task.trial} within {GRACE_S:g} s")
        if setup.fresh:
            return


def _run_task(setup: Setup, task: Task, *, rank: int, gang: Any, train: Any) -> str:
    import ray

    from paretune.engine import _seam, loop

    member = _Member(setup, task, rank=rank, gang=gang)
    with _seam.in_worker(member):
        reason, trace = loop.run(train, {**setup.constants, **task.config}, seed=task.seed)
    if reason is None and member.step == 0:
        reason = "the training function returned without a single ray.train.report"
    answer: str = ray.get(gang.finished.remote(rank, (task.trial, task.attempt), reason, trace))
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
        import ray

        from paretune.engine import boundary
        from paretune.errors import ReportError, TrialStopped

        step, why, error = self.step + 1, None, None
        numbers: dict[str, float] = {}
        try:
            numbers, why = boundary.accept(metrics, self._setup.objectives)
        except ReportError as found:
            error = str(found)
        saved = self._save(checkpoint, step) if checkpoint is not None and not why and not error else None
        mine = RankReport(
            step=step,
            metrics=numbers,
            resource=boundary.resource(numbers, step),
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
        from paretune.engine import checkpoints

        return checkpoints.open_checkpoint(self._checkpoint, self._setup.folder) if self._checkpoint else None

    def _save(self, checkpoint: Any, step: int) -> str:
        from paretune.engine import checkpoints

        trial, attempt = self._task.trial, self._task.attempt
        return checkpoints.save(checkpoint, self._setup.folder, trial=trial, attempt=attempt, step=step)
