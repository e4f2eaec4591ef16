"""Ask and tell: the search algorithms for whoever runs the trials himself. No Ray.

opt = Optimizer({"lr": Float(1e-5, 1e-1, log=True)}, {"val_error": "minimize"})
for _ in range(20):
    suggestion = opt.ask()
    opt.tell(suggestion, {"val_error": train(**suggestion.config)})
opt.best().config
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, overload

from paretune import algorithms, earlier, winners
from paretune.algorithms import Problem, Settings
from paretune.earlier import Source
from paretune.errors import ReportError
from paretune.log import Log, Trial
from paretune.objective import Limit, Objective, Objectives
from paretune.parameters import Config, Parameter, declared
from paretune.recommendation import Recommendation, recommend
from paretune.records import ENDINGS, Ending, Event, EventKind, Metrics, Observation, Proposal, Report, Suggestion
from paretune.settings import AlgorithmSpec
from paretune.space import Space, Value

_GIVEN = "given"


class Optimizer:
    """A study whose trials run wherever the caller likes.

    Equal arguments and equal asks and tells in equal order give equal suggestions. Several suggestions may be out at
    a time; each one takes those before it into account.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Parameter | Mapping[str, object]],
        objectives: Objectives | Mapping[str, str | Objective | Mapping[str, object]],
        *,
        limits: Mapping[str, Limit | Mapping[str, object]] | None = None,
        constraints: Sequence[str] = (),
        first: Sequence[Config] = (),
        algorithm: AlgorithmSpec | Settings | Mapping[str, Any] | str = "gp",
        seed: int = 0,
        warm_start: Sequence[earlier.Given] = (),
    ) -> None:
        """Set up a study.

        `limits` are of metrics that are no objectives: `{"latency_ms": {"max": 5}}`; `constraints` must hold between
        parameters, `first` are configurations to try before all others; see `search`. `warm_start` are earlier studies
        to learn from: studies, optimizers, (space, history) pairs.

        Raises SpaceError, ObjectiveError or AlgorithmError for what cannot be searched, InputError for an earlier study
        that there is nothing to learn from.
        """
        given = space if isinstance(space, Space) else Space.from_dict(space)
        self.space = given.constrained(constraints) if constraints else given
        aims = objectives if isinstance(objectives, Objectives) else Objectives.from_dict(objectives)
        self.objectives = aims.with_limits(limits)
        self.log = Log()
        chosen = AlgorithmSpec.model_validate(algorithm)
        completed = tuple(self.space.complete(config) for config in first)
        sources = earlier.sources(warm_start, self.space, self.objectives)
        problem = Problem(space=self.space, objectives=self.objectives, seed=seed, first=completed, sources=sources)
        self._seed, self._name = seed, chosen.name
        self._algorithm = algorithms.create(chosen, problem)
        self._kernel = algorithms.kernel_of(chosen)

    @overload
    def ask(self, n: None = None) -> Suggestion: ...
    @overload
    def ask(self, n: int) -> list[Suggestion]: ...
    def ask(self, n: int | None = None) -> Suggestion | list[Suggestion]:
        """The next suggestion, or a list of the next n."""
        suggestions = algorithms.propose(
            self._algorithm,
            name=self._name,
            history=self.log.history,
            pending=self.log.pending,
            n=1 if n is None else n,
            seed=self._seed,
            first_id=self._next_id,
            history_position=self.log.position,
        )
        for suggestion in suggestions:
            self._record("suggested", suggestion.id, suggestion=suggestion)
        return suggestions[0] if n is None else suggestions

    def tell(
        self,
        suggestion: Suggestion | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: Ending | None = None,
        resource: float = 1.0,
        reason: str | None = None,
    ) -> Trial:
        """Say what became of a suggestion (or of its number).

        A trial is completed when every objective has a finite value and diverged when one has not, unless `status`
        says otherwise; a failed one needs no metrics. `resource` is what the trial used, in epochs for example.
        Raises ReportError for a number nobody suggested, a trial that has ended, an objective, a standard error or a
        metric under a limit left out, a negative standard error.
        """
        trial = self._open(suggestion)
        where = f"trial {trial.id}"
        numbers = _numbers({} if metrics is None else metrics, where)
        ending = self._ending(numbers, status, where)
        finite = {name: number for name, number in numbers.items() if math.isfinite(number)}
        if finite:
            self.log.append(
                Report(
                    position=self.log.position,
                    trial=trial.id,
                    attempt=trial.attempt,
                    step=trial.step + 1,
                    resource=resource,
                    time_s=time.time(),
                    metrics=finite,
                )
            )
        if ending == "diverged" and reason is None:
            reason = ", ".join(f"{name} is {number}" for name, number in numbers.items() if name not in finite)
        self._record(ending, trial.id, metrics=finite, reason=reason)
        return trial

    def add(
        self,
        config: Config,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: Ending | None = None,
        resource: float = 1.0,
    ) -> Trial:
        """Tell of a configuration that was tried elsewhere; raises SpaceError if it is not in the space."""
        config = _as_declared(config, self.space)
        self.space.check(config)
        numbers = _numbers({} if metrics is None else metrics, "add")
        self._ending(numbers, status, "add")  # refuse before anything is recorded
        suggestion = Suggestion(
            id=self._next_id,
            proposal=Proposal(config=config, origin=_GIVEN),
            algorithm=_GIVEN,
            history_position=self.log.position,
            pending=tuple(pending.id for pending in self.log.pending),
        )
        self._record("suggested", suggestion.id, suggestion=suggestion)
        return self.tell(suggestion, numbers, status=status, resource=resource)

    def best(self, objective: str | None = None) -> Trial:
        """The best trial by one objective (by the only one, if there is one); see `recommendation`."""
        return self.recommendation(objective).trial

    def recommendation(self, objective: str | None = None) -> Recommendation:
        """The best trial, and what its configuration gives on average, with an interval."""
        return recommend(self.log.trials.values(), self.space, self.objectives, objective, kernel=self._kernel)

    def front(self) -> list[Trial]:
        """The trials that no other one dominates."""
        return winners.front(self.log.trials.values(), self.objectives)

    def source(self) -> Source:
        """What is known so far as an earlier study: `Optimizer(..., warm_start=[this])`."""
        return Source(
            name="optimizer", space=self.space, objectives=self.objectives, observations=tuple(self.log.history)
        )

    @property
    def history(self) -> Sequence[Observation]:
        """What the algorithm has learnt from: the ended trials, in the order in which they ended."""
        return self.log.history

    @property
    def pending(self) -> list[Suggestion]:
        """What was asked and not told."""
        return self.log.pending

    @property
    def _next_id(self) -> int:
        return max(self.log.trials, default=-1) + 1

    def _record(
        self,
        kind: EventKind,
        trial: int,
        *,
        suggestion: Suggestion | None = None,
        metrics: Metrics | None = None,
        reason: str | None = None,
    ) -> None:
        self.log.append(
            Event(
                position=self.log.position,
                kind=kind,
                time_s=time.time(),
                trial=trial,
                suggestion=suggestion,
                metrics=metrics or {},
                reason=reason,
            )
        )

    def _open(self, suggestion: Suggestion | int) -> Trial:
        number = suggestion.id if isinstance(suggestion, Suggestion) else suggestion
        if number not in self.log.trials:
            raise ReportError(
                f"trial {number!r}: was never suggested", hint="opt.add(config, metrics) takes results from elsewhere"
            )
        trial = self.log.trials[number]
        if isinstance(suggestion, Suggestion) and trial.suggestion != suggestion:
            raise ReportError(f"trial {number}: was suggested by another optimizer")
        if trial.ended:
            raise ReportError(f"trial {number}: has ended already, as {trial.status}")
        return trial

    def _ending(self, numbers: Mapping[str, float], status: Ending | None, where: str) -> Ending:
        """How a trial with these metrics ends."""
        if status is not None and status not in ENDINGS:
            raise ReportError(f"{where}: status must be one of {', '.join(ENDINGS)}, got {status!r}")
        if status in ("failed", "diverged"):
            return status
        missing = self.objectives.missing(numbers)
        if missing:
            given = ", ".join(numbers) or "nothing"
            required = "every objective" + (", every standard error" if self.objectives.standard_errors else "")
            required += " and every metric under a limit" if self.objectives.limited else ""
            raise ReportError(
                f"{where}: {required} must be reported, missing {', '.join(missing)}, given {given}",
                hint='status="failed" for a trial without a result',
            )
        negative = self.objectives.negative(numbers)
        if negative is not None:
            raise ReportError(f"{where}: {negative}")
        if not all(math.isfinite(numbers[name]) for name in self.objectives.required):
            return "diverged"
        return status or "completed"


def _numbers(metrics: object, where: str) -> dict[str, float]:
    """Metrics as plain floats; anything with a float value will do, as a NumPy or PyTorch scalar."""
    if not isinstance(metrics, Mapping):
        raise ReportError(f"{where}: metrics must map names to numbers, got {metrics!r}", hint='{"val_error": 0.1}')
    return {name: _number(value, f"{where}: {name}") for name, value in metrics.items()}


def _number(value: Any, where: str) -> float:
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass  # refused like a string
    raise ReportError(f"{where}: must be a number, got {value!r}")


def _as_declared(config: Config, space: Space) -> dict[str, Value]:
    """The configuration with numbers of the types that are declared."""
    return {name: declared(value, space.get(name)) for name, value in config.items()}
