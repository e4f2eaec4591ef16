"""What the driver, the trial actors and the gangs say to each other.

driver --Task--> trial actor [--Task--> gang --Task--> each worker]
driver <--Reported | Restarted | Straggling | Ended-- trial actor
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from paretune.objective import Objectives
from paretune.records import Ending, Metrics

if TYPE_CHECKING:
    from paretune.engine.data import Ingest


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is the same for every trial of a study.

    `code` is the cloudpickled training function, `path` the driver's sys.path (modules beside the user's script are
    found there, also by workers), `folder` the study's folder (a path or URI), `constants` what every
    config holds beside the suggested parameters, `resource` the metric that says how far a trial is (None: its epoch,
    or else the number of its reports), `saved_by` the resource by which it must have saved a checkpoint (None: it need
    not save any), `retries` how often one trial may lose its workers, `hang_s` how long one report may take after
    another (see engine.standstill), `ingest` what `get_dataset_shard` reads.
    """

    study: str
    code: bytes
    path: tuple[str, ...]
    objectives: Objectives
    constants: dict[str, Any]
    folder: str
    workers: int
    min_workers: int
    cpus: float
    gpus: float
    resource: str | None
    saved_by: float | None
    retries: int
    hang_s: float | None
    fresh: bool  # new workers for every trial
    ingest: Ingest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at one trial: go on after `step` reports from `checkpoint` (a path in the study's folder).

    The first `inherited` of these reports are not its own, but of the trial whose training it goes on with.
    """

    trial: int
    attempt: int
    config: dict[str, Any]
    seed: int
    step: int = 0
    inherited: int = 0
    checkpoint: str | None = None
    gang: str | None = None  # the name of the gang actor that runs it; None: the trial actor itself does


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The loop called `ray.train.report` and waits for the decision."""

    trial: int
    attempt: int
    step: int
    resource: float
    metrics: Metrics
    worker_seconds: float
    checkpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """The gang has new workers, for that reason; they go on with the trial as another attempt, from `checkpoint`."""

    trial: int
    attempt: int
    checkpoint: str | None
    reason: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggling:
    """A rank of the gang is slower than the others, again and again (see engine.stragglers).

    `times` is how many times as long as theirs its reports take; None where the loop's own run measured it.
    """

    trial: int
    attempt: int
    rank: int
    times: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The loop is over. `metrics` are those of a last report that was not accepted (diverged)."""

    trial: int
    attempt: int
    status: Ending
    reason: str | None = None
    traceback: str | None = None
    metrics: Metrics | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training loop ended in one process.

    `reason` is one line, and a hint, that says what went wrong (None: nothing); `traceback` begins in the user's code.
    """

    status: Ending
    reason: str | None = None
    traceback: str | None = None


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
    stragglers: tuple[int, ...] = ()  # by the measure of the loop's own runs


Message: TypeAlias = Reported | Restarted | Straggling | Ended
Decision = Literal["continue", "stop", "leave"]
