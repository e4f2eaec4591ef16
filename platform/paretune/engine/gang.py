"""A gang: one long-lived Ray Train run that trains many trials, one after the other.

    trial actor            Gang (async actor)             workers (TorchTrainer's, one rank each)
      assign(task)  ----->  task
                            task                  <-----   next_task(rank)      every rank, between trials
      advance()     <-----  Reported              <-----   report(rank, ...)    a barrier: all ranks wait here
      advance()     ----->  decision              ----->   continue | stop
      advance()     <-----  Ended                 <-----   finished(rank, ...)

Every rank speaks to the gang itself, so that a rank that fails can say so while the others hang in a collective: they
are given a moment to end, then the group is restarted. One may also fail because another was killed: the companions of
the others say whether they are there. A group that comes to a standstill is restarted too, once they have said where
their ranks stand; one that is told to end, or might be larger, leaves after its next checkpoint. A new group is
recognised by its placement group; its trial goes on as a new attempt from the last checkpoint recorded.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import ray

from paretune.engine import boundary, standstill
from paretune.engine.attempt import Attempt
from paretune.engine.group import Bell, Group, Loss, Wish
from paretune.engine.messages import Decision, Message, Outcome, RankReport, Reported, Restarted, Setup, Task
from paretune.engine.room import Room
from paretune.engine.train_run import TrainRun
from paretune.errors import ParetuneError
from paretune.records import Metrics

if TYPE_CHECKING:
    from ray.data import DataIterator

GRACE_S = 10.0
"""How long the other ranks may take to end once one has failed, before the group is restarted."""

PLACEMENT_TIMEOUT_S = 600.0
"""How long a trial waits for workers to come up: images are pulled and nodes are started in that time."""

LOOK_S = 1.0
"""How often to look whether a trial has come to a standstill."""


class Gang:
    """The actor between a trial actor and the workers. All methods run on one event loop."""

    def __init__(self, setup: Setup, name: str, namespace: str) -> None:
        self._setup = setup
        self._bell = Bell()  # rings when anything has changed
        self._group = self._new_group(None, setup.workers)
        self._heard = time.monotonic()  # when a worker last called
        self._patience = standstill.Patience(setup.hang_s)
        self._run: Attempt | None = None
        self._guard: asyncio.Task[None] | None = None
        self._doubt: asyncio.Task[None] | None = None
        self._losses = 0
        self._accepted: tuple[int, str | None] = (0, None)
        self._saved: list[tuple[str, Metrics]] = []  # the task's accepted checkpoints, with their reports
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._train_run = TrainRun(setup, name, namespace)

    # -- called by the trial actor and the driver --------------------------------------------------------------------

    async def assign(self, task: Task) -> None:
        """Take a task; one that still runs is stopped first."""
        await self.stop_task()
        self._inbox, self._heard = asyncio.Queue(), time.monotonic()
        self._losses, self._accepted, self._saved = 0, (task.step, task.checkpoint), []
        self._begin(task)

    async def advance(self) -> Message:
        """Let the loop go on from its last report, and wait for what comes next."""
        run = self._run
        if run is not None and run.delivered and run.waiting:
            report = run.waiting[0]
            self._accepted = (report.step, report.checkpoint or self._accepted[1])
            if report.checkpoint is not None:
                self._saved.append((report.checkpoint, report.metrics))
            run.left = self._group.leaving is not None and report.checkpoint is not None
            run.release("leave" if run.left else "continue")
        getter = asyncio.ensure_future(self._inbox.get())
        while not getter.done():
            self._check_health(getter)
            await asyncio.wait([getter], timeout=1.0)
        message = getter.result()
        if self._run is not None and isinstance(message, Reported):
            self._run.delivered = True
        return message

    def _check_health(self, getter: asyncio.Future[Message]) -> None:
        if self._train_run.broken is not None:
            getter.cancel()
            raise ParetuneError(f"the gang of {self._setup.workers} workers broke down: {self._train_run.broken}")
        run = self._run
        if run is not None and time.monotonic() - self._heard > PLACEMENT_TIMEOUT_S:
            reason = f"no worker could be placed, or was heard of, for {PLACEMENT_TIMEOUT_S:g} s"
            self._run = None
            self._inbox.put_nowait(run.failed(reason))

    async def stop_task(self) -> None:
        """End the present task at its report; returns when every rank that took it is through."""
        while (run := self._run) is not None:
            run.cancelled = True
            if not run.started:
                self._run = None
                return
            run.release("stop")
            await self._bell.heard()

    async def process(self) -> str:
        """The Ray worker that this actor runs in, which has started its Ray Train run."""
        return str(ray.get_runtime_context().get_worker_id())

    async def close(self) -> None:
        """Stop the task, let the workers go, and wait until Ray Train has freed what they held."""
        self._train_run.closing = True
        await self.stop_task()
        self._bell.ring()
        while self._train_run.lasts:
            await asyncio.sleep(0.05)

    # -- called by the workers ---------------------------------------------------------------------------------------

    async def join(self, rank: int, group: str, world: int) -> None:
        """A worker has come up, one of `world` in that placement group."""
        self._heard, self._train_run.served = time.monotonic(), True
        if group != self._group.id:
            before, self._group = self._group, self._new_group(group, world)
            self._go_on_after(before.replaced())

    async def next_task(self, rank: int, group: str) -> Task | Literal["leave"] | None:
        """The task that this rank runs next; "leave" to make room for a new group; None when it is to end."""
        while group == self._group.id and not (self._train_run.closing and self._run is None):
            run = self._run
            if self._group.leaving is not None and (run is None or not run.started):
                return "leave"
            if run is not None and rank not in run.outcomes:
                return run.begin(rank, self._group.world)
            await self._bell.heard()
        return None

    async def report(self, rank: int, key: tuple[int, int], report: RankReport) -> Decision | str:
        """Wait for all ranks, then for the decision; other texts than those are errors."""
        run = self._run
        if run is None or not run.is_of(key) or run.cancelled or run.told_end:
            return "stop"
        if run.outcomes:
            return f"rank {rank} reports, but rank {min(run.outcomes)} has returned: every rank must report alike"
        decision = run.wait(rank, report)
        if run.complete:
            self._complete_report(run)
        return await decision

    async def dataset_shard(self, rank: int, key: tuple[int, int], name: str, node: str) -> DataIterator | None:
        """The rank's shard of a dataset for the present task; None when that is over."""
        from paretune.engine.data import Handout  # imports Ray Data, which few studies need

        run = self._run
        if run is None or not run.is_of(key) or run.outcomes or self._setup.ingest is None:
            return None
        run.handout = run.handout or Handout(self._setup.ingest, run.world)
        return await run.handout.give(name, rank, node)

    async def saved(self) -> list[tuple[str, Metrics]]:
        """The checkpoints of the present task that were accepted, oldest first, with what was reported with them."""
        return self._saved

    async def finished(self, rank: int, key: tuple[int, int], outcome: Outcome) -> str:
        """The rank's loop is over; wait for the others. Returns "next", or "restart" when they do not come."""
        run = self._run
        if run is None or not run.is_of(key):
            return "next"
        if run.through is None:
            run.through = asyncio.get_running_loop().create_future()
        through = run.through
        if run.waiting and outcome.reason is None and not run.cancelled and run.ending is None:
            others = ", ".join(map(str, sorted(run.waiting)))
            reason = f"rank {rank} returned while rank {others} waits in ray.train.report: every rank must report alike"
            outcome = Outcome("failed", reason)
        run.outcomes[rank] = outcome
        if run.handout is not None:
            run.handout.withdraw()
        if len(run.outcomes) == run.world:
            self._conclude(run, "next")
        elif run.told_end or run.cancelled or run.ending is not None:
            self._end_others(run)
        elif outcome.reason is not None:
            run.release("stop")
            self._doubt = asyncio.ensure_future(self._blame(run))
        return await through

    async def companion(self, rank: int, group: str) -> Wish:
        """What the thread beside a rank's loop is to do; it asks again at once, and by that says that it is alive."""
        self._heard = time.monotonic()
        return await self._group.wish(rank) if group == self._group.id else "exit"

    async def stacks(self, rank: int, group: str, stacks: standstill.Stacks) -> None:
        """What the threads of a rank are doing, as it was asked for."""
        if group == self._group.id:
            self._group.answer(rank, stacks)

    async def leave(self, group: str, why: str) -> None:
        """A worker was told to end: the group is started anew after the next report with a checkpoint, or trial."""
        if group == self._group.id:
            self._group.dismiss(why)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _new_group(self, group: str | None, world: int) -> Group:
        return Group(group, world, Room(self._setup.cpus, self._setup.gpus), self._bell)

    def _begin(self, task: Task) -> None:
        self._run = Attempt(task)
        self._guard = asyncio.ensure_future(self._watch(self._run))
        self._bell.ring()

    async def _watch(self, run: Attempt) -> None:
        """While the run lasts: have workers that come to a standstill end, and those leave that might be more."""
        while self._run is run and self._group.loss is None:
            if run.still_s > self._patience.limit_s:
                await self._question(run)
            group, small = self._group, run.started and run.world < self._setup.workers
            if small and await group.might_be_larger():
                group.dismiss(f"the cluster has grown, there may be room for more than {run.world} workers")
            await asyncio.sleep(LOOK_S)

    async def _question(self, run: Attempt) -> None:
        """Ask every rank where it stands, keep the answers, and give the workers up unless they have gone on since."""
        since, absent = run.since, run.absent
        why = standstill.told(absent, sorted(run.waiting), run.still_s)
        found = await self._group.stacks()
        if self._run is not run or run.since != since or not run.absent:
            return
        name = f"{run.task.trial:05d}-{run.task.attempt}.txt"
        place = await asyncio.to_thread(standstill.keep, self._setup.folder, name, why, found, run.world)
        self._group.give_up(Loss(f"{why}; see {place}", standstill.short(found, absent)))

    async def _blame(self, run: Attempt) -> None:
        """A rank has failed: of itself where all others are alive, or else because one of them is not."""
        alive = await self._group.stacks()
        if self._run is not run or run.told_end or self._group.loss is not None:
            return
        dead = [rank for rank in run.absent if rank not in alive]
        if dead:
            self._group.give_up(Loss(f"rank {dead[0]} died", traceback=run.first_error))
        else:
            self._end_others(run)

    def _end_others(self, run: Attempt) -> None:
        """Tell how the task has ended, and give the ranks that are not through a moment."""
        run.release("stop")
        self._tell_end(run)
        asyncio.get_running_loop().call_later(GRACE_S, self._conclude, run, "restart")

    def _complete_report(self, run: Attempt) -> None:
        self._patience.took(time.monotonic() - run.since)
        first = run.waiting[0]
        saved = next((r.checkpoint for _, r in sorted(run.waiting.items()) if r.checkpoint), None)
        missing = boundary.unsaved(saved or self._accepted[1], first.resource, self._setup.saved_by)
        if first.error is not None:
            run.release(first.error)
        elif first.diverged is not None:
            run.ending = (Outcome("diverged", first.diverged), first.metrics)
            run.release("stop")
        elif missing is not None:
            run.release(str(missing))
        else:
            run.waiting[0] = replace(first, checkpoint=saved)
            for slow in run.straggling():
                self._inbox.put_nowait(slow)
            self._inbox.put_nowait(run.reported(saved))

    def _conclude(self, run: Attempt, how: Literal["next", "restart"]) -> None:
        """All ranks are through, or the rest has had its time."""
        if run.through is None or run.through.done():
            return
        self._tell_end(run)
        run.through.set_result(how)
        if self._run is run:
            self._run = None
        self._bell.ring()

    def _tell_end(self, run: Attempt) -> None:
        end = run.end()
        if end is not None:
            self._inbox.put_nowait(end)

    def _go_on_after(self, loss: Loss) -> None:
        """The workers are new: what the old ones were doing is lost, their trial goes on or is given up."""
        run = self._run
        if run is None or not run.started:
            return
        self._run = None
        run.release("stop")
        self._losses += loss.counts
        retries = self._setup.retries
        if run.told_end or run.cancelled:
            self._bell.ring()
        elif self._losses > retries:
            reason = f"lost its workers {self._losses} times (train: retries is {retries}), at last: {loss.reason}"
            self._inbox.put_nowait(run.failed(reason, loss.traceback))
            self._bell.ring()
        else:
            step, checkpoint = self._accepted
            task = replace(run.task, attempt=run.task.attempt + 1, step=step, checkpoint=checkpoint)
            self._inbox.put_nowait(
                Restarted(
                    trial=task.trial,
                    attempt=task.attempt,
                    checkpoint=checkpoint,
                    reason=loss.reason,
                    workers=self._group.world,
                )
            )
            self._begin(task)
