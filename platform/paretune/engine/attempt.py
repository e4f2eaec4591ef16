"""One attempt at a task in a gang: which ranks have begun it, who waits at a report, who is through."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from paretune.engine.messages import Decision, Ended, Outcome, RankReport, Reported, Straggling, Task
from paretune.engine.stragglers import Pace
from paretune.records import Metrics

if TYPE_CHECKING:
    from paretune.engine.data import Handout


@dataclass(slots=True)
class Attempt:
    """What a gang knows of the task it runs; `world` is its number of ranks."""

    task: Task
    world: int = 0
    waiting: dict[int, RankReport] = field(default_factory=dict)
    decision: asyncio.Future[Decision | str] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    through: asyncio.Future[Literal["next", "restart"]] | None = None
    started: set[int] = field(default_factory=set)
    since: float = 0.0  # when the ranks were last let go, by the monotonic clock
    delivered: bool = False  # the trial actor has the report that the ranks wait with
    left: bool = False  # the ranks leave for others to go on
    told_end: bool = False
    cancelled: bool = False
    ending: tuple[Outcome, Metrics] | None = None
    pace: Pace = field(default_factory=Pace)
    handout: Handout | None = None

    def begin(self, rank: int, world: int) -> Task:
        """A rank of so many takes the task."""
        if not self.started:
            self.world, self.since = world, time.monotonic()
        self.started.add(rank)
        return self.task

    def is_of(self, key: tuple[int, int]) -> bool:
        """Whether a rank that says so works on this very attempt."""
        return (self.task.trial, self.task.attempt) == key

    def wait(self, rank: int, report: RankReport) -> asyncio.Future[Decision | str]:
        """A rank has come to a report; what it waits for."""
        if self.decision is None:
            self.decision = asyncio.get_running_loop().create_future()
        self.waiting[rank] = report
        return self.decision

    @property
    def complete(self) -> bool:
        """Whether every rank waits at the report."""
        return len(self.waiting) == self.world

    def release(self, decision: Decision | str) -> None:
        """Answer the ranks that wait at a report."""
        waiting, self.decision, self.waiting, self.delivered = self.decision, None, {}, False
        self.since = time.monotonic()
        if waiting is not None and not waiting.done():
            waiting.set_result(decision)

    @property
    def absent(self) -> list[int]:
        """The ranks that neither wait at a report nor have returned; empty while all wait for the decision."""
        return [rank for rank in range(self.world) if rank not in self.waiting and rank not in self.outcomes]

    @property
    def still_s(self) -> float:
        """For how long the ranks that are absent have not been heard of, in seconds."""
        busy = self.started and self.absent and not self.left
        return time.monotonic() - self.since if busy else 0.0

    @property
    def first_error(self) -> str | None:
        """The traceback of the rank that failed first."""
        return next((outcome.traceback for outcome in self.outcomes.values() if outcome.reason is not None), None)

    def reported(self, checkpoint: str | None) -> Reported:
        """What all ranks have come to: rank 0's numbers, everybody's time."""
        first = self.waiting[0]
        return Reported(
            trial=self.task.trial,
            attempt=self.task.attempt,
            step=first.step,
            resource=first.resource,
            metrics=first.metrics,
            worker_seconds=sum(report.seconds for report in self.waiting.values()),
            checkpoint=checkpoint,
        )

    def straggling(self) -> list[Straggling]:
        """The ranks that turn out at this report to be slower than the others."""
        seconds = {rank: report.seconds for rank, report in self.waiting.items()}
        found = self.pace.straggling(seconds, self.waiting[0].stragglers)
        trial, attempt = self.task.trial, self.task.attempt
        return [Straggling(trial=trial, attempt=attempt, rank=rank, times=times) for rank, times in found.items()]

    def end(self) -> Ended | None:
        """How the task ended, once; None where it was told already, or nobody wants to know."""
        if self.told_end or self.cancelled:
            return None
        self.told_end = True
        bad = (outcome for outcome in self.outcomes.values() if outcome.reason is not None)  # who failed first
        outcome, metrics = self.ending or (next(bad, Outcome("completed")), None)
        return self._ended(outcome, metrics)

    def failed(self, reason: str, traceback: str | None = None) -> Ended:
        """The end of a task that cannot go on."""
        return self._ended(Outcome("failed", reason, traceback), None)

    def _ended(self, outcome: Outcome, metrics: Metrics | None) -> Ended:
        return Ended(
            trial=self.task.trial,
            attempt=self.task.attempt,
            status=outcome.status,
            reason=outcome.reason,
            traceback=outcome.traceback,
            metrics=metrics,
        )
