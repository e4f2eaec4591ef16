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
from dataclasses import dataclass, field, replace
from typing import Literal

from paretune.engine import boundary
from paretune.engine.messages import Decision, Ended, Message, Outcome, RankReport, Reported, Restarted, Setup, Task
from paretune.errors import ParetuneError
from paretune.records import Metrics

GRACE_S = 10.0
"""How long the other ranks may take to end once one has failed, before the group is restarted."""

START_TIMEOUT_S = 600.0
"""How long the first worker may take to come up: images are pulled and nodes are started in that time."""


@dataclass(slots=True)
class _Run:
    """One attempt at a task: who waits at a report, who is through."""

    task: Task
    waiting: dict[int, RankReport] = field(default_factory=dict)
    decision: asyncio.Future[Decision | str] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    through: asyncio.Future[Literal["next", "restart"]] | None = None
    started: set[int] = field(default_factory=set)
    delivered: bool = False  # the trial actor has the report that the ranks wait with
    told_end: bool = False
    cancelled: bool = False
    ending: tuple[Outcome, Metrics] | None = None


class Gang:
    """The actor between a trial actor and the workers. All methods run on one event loop."""

    def __init__(self, setup: Setup, name: str, namespace: str) -> None:
        self._setup = setup
        self._members: dict[int, str] = {}
        self._run: _Run | None = None
        self._born = time.monotonic()
        self._losses = 0
        self._accepted: tuple[int, str | None] = (0, None)
        self._saved: list[tuple[str, Metrics]] = []  # the task's accepted checkpoints, with their reports
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
        await self.stop_task()
        self._inbox = asyncio.Queue()
        self._losses, self._accepted, self._saved = 0, (task.step, task.checkpoint), []
        self._run = _Run(task)
        self._change()

    async def advance(self) -> Message:
        """Let the loop go on from its last report, and wait for what comes next."""
        run = self._run
        if run is not None and run.delivered and run.waiting:
            report = run.waiting[0]
            self._accepted = (report.step, report.checkpoint or self._accepted[1])
            if report.checkpoint is not None:
                self._saved.append((report.checkpoint, report.metrics))
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
        """End the present task at its report; returns when every rank that took it is through."""
        while (run := self._run) is not None:
            run.cancelled = True
            if not run.started:
                self._run = None
                return
            self._release(run, "stop")
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

    async def saved(self) -> list[tuple[str, Metrics]]:
        """The checkpoints of the present task that were accepted, oldest first, with what was reported with them."""
        return self._saved

    async def finished(self, rank: int, key: tuple[int, int], outcome: Outcome) -> str:
        """The rank's loop is over; wait for the others. Returns "next", or "restart" when they do not come."""
        run = self._run
        if run is None or (run.task.trial, run.task.attempt) != key:
            return "next"
        if run.through is None:
            run.through = asyncio.get_running_loop().create_future()
        through = run.through
        if run.waiting and outcome.reason is None and not run.cancelled and run.ending is None:
            others = ", ".join(map(str, sorted(run.waiting)))
            reason = f"rank {rank} returned while rank {others} waits in ray.train.report: every rank must report alike"
            outcome = Outcome("failed", reason)
        run.outcomes[rank] = outcome
        if len(run.outcomes) == self._setup.workers:
            self._conclude(run, "next")
        elif outcome.reason is not None or run.cancelled or run.ending is not None:
            self._release(run, "stop")
            self._tell_end(run)
            asyncio.get_running_loop().call_later(GRACE_S, self._conclude, run, "restart")
        return await through

    # -- inside ------------------------------------------------------------------------------------------------------

    def _complete_report(self, run: _Run) -> None:
        first = run.waiting[0]
        saved = next((r.checkpoint for _, r in sorted(run.waiting.items()) if r.checkpoint), None)
        missing = boundary.unsaved(saved or self._accepted[1], first.resource, self._setup.saved_by)
        if first.error is not None:
            self._release(run, first.error)
        elif first.diverged is not None:
            run.ending = (Outcome("diverged", first.diverged), first.metrics)
            self._release(run, "stop")
        elif missing is not None:
            self._release(run, str(missing))
        else:
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
        bad = (outcome for _, outcome in sorted(run.outcomes.items()) if outcome.reason is not None)
        outcome, metrics = next(bad, Outcome("completed")), None
        if run.ending is not None:
            outcome, metrics = run.ending
        self._inbox.put_nowait(
            Ended(
                trial=run.task.trial,
                attempt=run.task.attempt,
                status=outcome.status,
                reason=outcome.reason,
                traceback=outcome.traceback,
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
        from paretune.engine import gang_worker  # imports torch, which the driver can do without

        try:
            with tempfile.TemporaryDirectory(prefix="paretune-", ignore_cleanup_errors=True) as scratch:
                while True:
                    gang_worker.trainer(self._setup, name, namespace, scratch=scratch).fit()
                    if self._closing or not self._setup.fresh:
                        return
        except Exception:
            if not self._closing:
                self._broken = traceback.format_exc()
