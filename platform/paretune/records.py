"""What is said and remembered about a study: frozen records, no behaviour beyond their own fields.

A *proposal* is what an algorithm returns; given its number and its place in the log it is a *suggestion*, and the
trial that tries it has the same number. *Events* and *reports* are the two kinds of log entry; both carry a `position`
from one rising counter, so that the two together have one order. An *observation* is what an algorithm learns from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from paretune.parameters import Config

Metrics: TypeAlias = Mapping[str, float]

Status = Literal["pending", "running", "paused", "completed", "stopped", "failed", "diverged"]
Ending = Literal["completed", "stopped", "failed", "diverged"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)

EventKind = Literal[
    "opened",  # a writer took the study over; details: versions, host, commit, gpus_per_worker
    "amended",  # details: the settings that changed, {"search": {"trials": 60}}
    "suggested",  # suggestion; no details, whose place in the store its proposal's notes have
    "started",  # a trial began its attempt-th run; details: {"checkpoint": path or None}; on new workers also a reason
    # (what became of the others) and {"workers": how many}
    "straggling",  # a worker is slower than the others; reason
    "paused",  # by the scheduler, its workers are free; metrics: the last report's
    "promoted",  # a paused trial is to go on
    "completed",  # metrics: the last report's
    "stopped",  # metrics; reason
    "failed",  # reason (one line); details: {"traceback": ...}
    "diverged",  # reason; metrics: the finite ones of the last report
    "interrupted",  # the study was interrupted; reason
    "closed",  # the study ended; reason
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A configuration an algorithm wants tried, and why.

    `origin` says how it came about (default, middle, initial, model, random ...). `mean` and `sd` are the surrogate's
    prediction of each objective and each metric under a limit, in its own units; `fit` holds the surrogate's
    hyperparameters of each of them, for diagnosis. `notes` are whatever else the algorithm has to say: what `auto`
    chose, how far it trusts earlier studies. `fit_s` is what fitting models took, in seconds; two proposals that differ
    in nothing else are equal.
    """

    config: Config
    origin: str
    acquisition: float | None = None
    mean: Metrics | None = None
    sd: Metrics | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    fit_s: float = field(default=0.0, compare=False)

    @property
    def whole(self) -> bool:
        """Whether the algorithm wants the trial trained to its end, however it does on its way."""
        return bool(self.notes.get("whole", False))

    @property
    def forecast(self) -> Forecast | None:
        """What rungs tell of the end, where the algorithm has a model of it."""
        noted = self.notes.get(_FORECAST)
        if noted is None:
            return None
        lines = {
            float(rung): {name: Line(*line) for name, line in told.items()} for rung, told in noted["lines"].items()
        }
        return Forecast(lines, {float(rung): told for rung, told in noted["others"].items()})

    @property
    def descent(self) -> Descent | None:
        """Whose place in a population the trial takes; None where it opens a place of its own."""
        noted = self.notes.get(_DESCENT)
        return None if noted is None else Descent(noted["instead_of"], noted["parent"], noted["resource"])


_DESCENT, _FORECAST = "descent", "forecast"

WHOLE: Mapping[str, Any] = {"whole": True}
"""The note that says so of a trial that is to be trained to its end."""


class Line(NamedTuple):
    """The end expected of a metric: slope times its value plus offset, give or take the standard deviation `sd`."""

    slope: float
    offset: float
    sd: float

    def end(self, value: float, *, sds: float = 0.0) -> float:
        """The expected end, or one that is so many standard deviations larger."""
        return self.slope * value + self.offset + sds * self.sd


@dataclass(frozen=True, slots=True)
class Descent:
    """The trial whose place in a population is taken, and the one whose training goes on under another configuration.

    The trial begins with what `parent` was when it had come to `resource`; with nothing, where `parent` is None.
    """

    instead_of: int
    parent: int | None = None
    resource: float = 0.0

    @property
    def note(self) -> dict[str, Any]:
        """As plain data, for a proposal's notes."""
        return {_DESCENT: {"instead_of": self.instead_of, "parent": self.parent, "resource": self.resource}}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected at the end of one configuration's training, from each rung on its way.

    `lines` has for each rung what its metrics tell of their ends. `others` has for
    each rung what trials that have reached it were expected to end with when this was forecast: a sample of them, from
    the best to the worst.
    """

    lines: Mapping[float, Mapping[str, Line]]
    others: Mapping[float, Sequence[Metrics]] = field(default_factory=dict)

    def final(self, rung: float, metrics: Metrics, sds: Mapping[str, float] | None = None) -> Metrics:
        """The metrics with those that are forecast as they are expected to end; unchanged at a rung without lines.

        `sds` says by how many standard deviations a metric ends larger than expected.
        """
        lines, by = self.lines.get(rung, {}), sds or {}
        ends = {name: line.end(metrics[name], sds=by.get(name, 0.0)) for name, line in lines.items() if name in metrics}
        return {**metrics, **ends}

    @property
    def note(self) -> dict[str, Any]:
        """As plain data, for a proposal's notes."""
        lines = {str(rung): {name: list(line) for name, line in lines.items()} for rung, lines in self.lines.items()}
        others = {str(rung): [dict(metrics) for metrics in ends] for rung, ends in self.others.items()}
        return {_FORECAST: {"lines": lines, "others": others}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A numbered proposal: everything needed to compute it again.

    `history_position` is the number of log entries it was computed from, `pending` the trials that were under way or
    already suggested then, `seconds` the time it took.
    """

    id: int
    proposal: Proposal
    algorithm: str
    history_position: int
    pending: tuple[int, ...] = ()
    seconds: float = 0.0

    @property
    def config(self) -> Config:
        return self.proposal.config


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What became of a suggestion at a resource; `metrics` is empty for a trial that failed before its first report.

    A trial that is judged on its way has one for each rung it passes and for each pause, and one more for its end.
    `curve` has what it reported at the rungs it has passed, lowest first; `worker_seconds` is what its reports took;
    `descent` is its proposal's.
    """

    trial: int
    config: Config
    status: Status
    resource: float
    metrics: Metrics
    curve: Mapping[float, Metrics] = field(default_factory=dict)
    worker_seconds: float = 0.0
    descent: Descent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a trial, or (with `trial` None) to the study. `time_s` is seconds since the epoch."""

    position: int
    kind: EventKind
    time_s: float
    trial: int | None = None
    attempt: int = 0
    suggestion: Suggestion | None = None
    metrics: Metrics = field(default_factory=dict)
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One `ray.train.report` of a trial.

    `step` counts a trial's reports from 1, or from its parent's on, and goes on across attempts; `resource` is what it
    has used so far (epochs, unless the loop reports none: then the step); `worker_seconds` is the time since the report
    before, times the trial's workers; `checkpoint` is the path of the saved checkpoint inside the study's folder.
    """

    position: int
    trial: int
    attempt: int
    step: int
    resource: float
    time_s: float
    metrics: Metrics
    worker_seconds: float = 0.0
    checkpoint: str | None = None


Entry: TypeAlias = Event | Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a study was made; stored once with it."""

    created_s: float
    paretune: str
    versions: Mapping[str, str]
    git_commit: str | None
    host: str
