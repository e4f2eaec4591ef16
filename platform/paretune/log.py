"""The log of a study and what follows from it.

A study is a pure function of its log: `Log` takes entries in order and keeps what is derived from them - trials, the
history an algorithm learns from, what is pending. The engine appends to one as things happen, a resumed study feeds
it the stored entries, a report reads it; all see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from paretune.parameters import Config
from paretune.records import ENDINGS, Descent, Entry, Event, Metrics, Observation, Report, Status, Suggestion


@dataclass(slots=True)
class Trial:
    """The present state of one trial; `inherited` is the report of another one that its training goes on from."""

    suggestion: Suggestion
    inherited: Report | None = None
    status: Status = "pending"
    attempt: int = 0
    reports: list[Report] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    curve: dict[float, Metrics] = field(default_factory=dict)
    started_s: float | None = None
    ended_s: float | None = None
    reason: str | None = None
    traceback: str | None = None
    worker_seconds: float = 0.0

    @property
    def id(self) -> int:
        return self.suggestion.id

    @property
    def config(self) -> Config:
        return self.suggestion.config

    @property
    def ended(self) -> bool:
        return self.status in ENDINGS

    @property
    def last(self) -> Report | None:
        """Its last report, the inherited one before the first of its own."""
        return self.reports[-1] if self.reports else self.inherited

    @property
    def resource(self) -> float:
        return self.last.resource if self.last is not None else 0.0

    @property
    def step(self) -> int:
        return self.last.step if self.last is not None else 0

    @property
    def checkpoint(self) -> str | None:
        """The last checkpoint that was recorded, the inherited one before the first of its own."""
        own = next((r.checkpoint for r in reversed(self.reports) if r.checkpoint), None)
        return own or (self.inherited.checkpoint if self.inherited is not None else None)

    @property
    def descent(self) -> Descent | None:
        return self.suggestion.proposal.descent

    @property
    def born(self) -> float:
        """The resource that its parent had come to, 0 without one: what comes after it is the trial's own."""
        return self.descent.resource if self.descent is not None else 0.0

    def when(self, resource: float) -> Report:
        """The report from which a copy of the trial as it was at that resource goes on: one with a checkpoint.

        The first report that came as far where no report up to it has one, as on the virtual clock.
        """
        first = next(i for i, report in enumerate(self.reports) if report.resource >= resource)
        until = [*([] if self.inherited is None else [self.inherited]), *self.reports[: first + 1]]
        return next((report for report in reversed(until) if report.checkpoint), until[-1])

    @property
    def seconds(self) -> float:
        """From its first start to its end, or to its last sign of life."""
        if self.started_s is None:
            return 0.0
        if self.ended_s is not None:
            return self.ended_s - self.started_s
        return (self.reports[-1].time_s if self.reports else self.started_s) - self.started_s

    @property
    def observation(self) -> Observation:
        return Observation(
            trial=self.id,
            config=self.config,
            status=self.status,
            resource=self.resource,
            metrics=dict(self.metrics),
            curve=dict(self.curve),
            worker_seconds=self.worker_seconds,
            descent=self.descent,
        )


class Log:
    """Entries in order, and the state they add up to; `rungs` are the resources at which trials are compared."""

    def __init__(self, entries: Iterable[Entry] = (), *, rungs: Sequence[float] = ()) -> None:
        self.entries: list[Entry] = []
        self.trials: dict[int, Trial] = {}
        self.worker_seconds = 0.0
        self._rungs = tuple(rungs)
        self._open: dict[int, Trial] = {}  # neither ended nor paused
        self._observed: set[int] = set()
        self._history: list[Observation] = []
        self._observations: list[Observation] = []
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Take one more entry; its position must be the next one."""
        if entry.position != self.position:
            raise ValueError(f"log: position must be {self.position}, got {entry.position}")
        self.entries.append(entry)
        if isinstance(entry, Report):
            self._append_report(entry)
        elif entry.trial is not None:
            self._append_event(entry, entry.trial)

    @property
    def position(self) -> int:
        """The number of entries, which is the position of the next one."""
        return len(self.entries)

    @property
    def history(self) -> Sequence[Observation]:
        """One observation for each ended trial, in the order in which they ended."""
        return self._history

    @property
    def observations(self) -> Sequence[Observation]:
        """What an algorithm learns from: one observation for each rung passed, each pause and each end, in their order.

        A trial's later one takes the place of its earlier one: see `latest`.
        """
        return self._observations

    @property
    def pending(self) -> list[Suggestion]:
        """The suggestions nothing of which was observed yet, in order of their numbers."""
        return [trial.suggestion for number, trial in sorted(self._open.items()) if number not in self._observed]

    @property
    def under_way(self) -> list[Trial]:
        """The trials that run or wait for workers, which paused ones do not, in order of their numbers."""
        return [trial for _, trial in sorted(self._open.items())]

    @property
    def changing(self) -> bool:
        """Whether any training goes on under another configuration than it began with."""
        return any(trial.inherited is not None for trial in self.trials.values())

    @property
    def ended(self) -> list[Trial]:
        """The trials that have ended, in order of their numbers."""
        return [trial for _, trial in sorted(self.trials.items()) if trial.ended]

    def before(self, position: int) -> Log:
        """The log as it stood when it had `position` entries."""
        return Log(self.entries[:position], rungs=self._rungs)

    def _append_report(self, report: Report) -> None:
        trial = self.trials[report.trial]
        trial.reports.append(report)
        trial.metrics.update(report.metrics)
        trial.worker_seconds += report.worker_seconds
        self.worker_seconds += report.worker_seconds
        rung = next((rung for rung in reversed(self._rungs) if rung <= report.resource), None)
        if rung is not None and rung > max(trial.curve, default=trial.born):
            trial.curve[rung] = dict(report.metrics)
            self._observe(trial)

    def _append_event(self, event: Event, number: int) -> None:
        if event.kind == "suggested":
            assert event.suggestion is not None
            self.trials[number] = self._open[number] = Trial(event.suggestion, self._inherited(event.suggestion))
            return
        trial = self.trials[number]
        if event.kind == "started":
            trial.status, trial.attempt = "running", event.attempt
            trial.started_s = event.time_s if trial.started_s is None else trial.started_s
        elif event.kind == "paused":
            trial.status = "paused"
            del self._open[number]
            self._observe(trial)
        elif event.kind == "promoted":
            if trial.status != "paused":
                raise ValueError(f"log: trial {number} was promoted, but is {trial.status} and not paused")
            trial.status = "pending"
            self._open[number] = trial
        elif event.kind in ENDINGS:
            self._end(trial, event)

    def _inherited(self, suggestion: Suggestion) -> Report | None:
        descent = suggestion.proposal.descent
        if descent is None or descent.parent is None:
            return None
        return self.trials[descent.parent].when(descent.resource)

    def _end(self, trial: Trial, event: Event) -> None:
        if trial.ended:
            raise ValueError(f"log: trial {trial.id} ended twice, {trial.status} and then {event.kind}")
        trial.status, trial.ended_s, trial.reason = event.kind, event.time_s, event.reason  # type: ignore[assignment]
        trial.traceback = event.details.get("traceback")
        trial.metrics.update(event.metrics)
        self._open.pop(trial.id, None)
        self._history.append(trial.observation)
        self._observe(trial)

    def _observe(self, trial: Trial) -> None:
        self._observed.add(trial.id)
        self._observations.append(trial.observation)


def latest(observations: Iterable[Observation]) -> list[Observation]:
    """The last observation of each trial, in the order in which the trials were first observed."""
    return list({observation.trial: observation for observation in observations}.values())
