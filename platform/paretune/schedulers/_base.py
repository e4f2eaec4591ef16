"""What a scheduler is, what it is made for, and how it hears of the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from paretune.objective import Objectives
from paretune.records import Entry, Event, Report

Decision = Literal["continue", "stop", "pause"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is judged. `length` is the resource of a whole training (its epochs, say); None where nobody said.

    `parameters` are the names of the space, `trials` how many there may be; `bounded` says that the study is to end by
    its `regret`.
    """

    objectives: Objectives
    parameters: tuple[str, ...]
    trials: int
    seed: int = 0
    length: float | None = None
    bounded: bool = False


class Scheduler(Protocol):
    """Decides from what it has been told, in the log's order; equal logs give equal decisions.

    A paused trial gives its workers back and may be promoted: it then goes on from its checkpoint. A class attribute
    `Settings` names the class of its settings, where it has any. `rungs` are the resources at which trials are
    compared, lowest first, the last one being a whole training; none where no trial is cut short.
    """

    rungs: tuple[float, ...]

    def __init__(self, training: Training, settings: Any) -> None:
        """Raises SchedulerError for a training it cannot judge."""

    def on_report(self, report: Report) -> Decision:
        """Whether the trial goes on after this report.

        Resources of a trial's reports rise, but for an attempt that begins at an older checkpoint. An objective that
        is not finite is worse than any that is.
        """

    def on_event(self, event: Event) -> None:
        """Take note of what happened to a trial."""

    def next_promotion(self, *, last: bool) -> int | None:
        """The paused trial that should go on as soon as there are workers for it, None for none; changes nothing.

        `last` says that no trial will be started any more.
        """

    @property
    def room(self) -> int | None:
        """How many trials may be suggested before anything else happens; None for any number."""
        return None

    def next_stop(self, *, last: bool) -> int | None:
        """A paused trial that is to end now, None for none; changes nothing. To be asked before `next_promotion`."""
        return None

    def spared(self, *, last: bool) -> Collection[str]:
        """The checkpoints that trials to come may begin with, beside each trial's own last one."""
        return ()


def told(scheduler: Scheduler, entry: Entry) -> Decision:
    """Tell a scheduler of the next entry; its decision, "continue" unless the entry is a report."""
    if isinstance(entry, Report):
        return scheduler.on_report(entry)
    if entry.trial is not None:
        scheduler.on_event(entry)
    return "continue"


def follow(scheduler: Scheduler, entries: Iterable[Entry]) -> dict[int, Decision]:
    """Tell a new scheduler of a whole log; returns what it has decided and the log does not have yet.

    A driver that dies between a report and what follows from it leaves such a decision behind. Trial numbers to "stop"
    or "pause".
    """
    left: dict[int, Decision] = {}
    for entry in entries:
        decision = told(scheduler, entry)
        if entry.trial is not None:
            left[entry.trial] = decision
    return {trial: decision for trial, decision in left.items() if decision != "continue"}
