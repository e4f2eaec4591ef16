"""A cluster that trains in virtual time: a queue of what happens next, and a course that says what follows from it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from paretune import algorithms, population, schedulers, stopping
from paretune.algorithms import Problem
from paretune.engine import ahead, boundary
from paretune.engine.course import Course
from paretune.engine.messages import Ended, Reported
from paretune.engine.recorder import Recorder
from paretune.errors import ReportError, SpecError
from paretune.log import Trial
from paretune.records import Ending, Metrics, Observation, Suggestion
from paretune.simulation.blackbox import Blackbox, Staged
from paretune.simulation.faults import Faults
from paretune.study import StudySpec


def report_resources(spec: StudySpec) -> tuple[float, ...]:
    """Where a simulated training reports unless told otherwise: 1, 2, 3 ... up to its end.

    Raises SpecError where neither `epochs` nor the scheduler's `max_resource` says where that is.
    """
    end = schedulers.settings(spec.search.scheduler).max_resource or spec.train.epochs
    if end is None:
        raise SpecError(
            "simulate: must know how long a training is, got neither epochs nor max_resource",
            hint="train: {epochs: 27}, or give the resources of the reports: simulate(..., reports=[1, 3, 9, 27])",
        )
    return tuple(float(resource) for resource in range(1, int(end) + 1))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt at a trial: how often it lost its workers so far, and how many times as long it takes."""

    trial: int
    number: int
    losses: int
    slow: float


@dataclass(frozen=True, slots=True)
class _Next:
    """What an attempt comes to next, `seconds` of training after what came before."""

    attempt: _Attempt
    kind: Literal["report", "failed", "lost", "back"]
    seconds: float = 0.0
    resource: float = 0.0
    metrics: Metrics | None = None
    reason: str | None = None


class Cluster:
    """`spec.search.concurrency` trials at a time, from wherever the recorder's log stands.

    `now_s` is the virtual clock; it goes on from the log's last entry.
    """

    def __init__(
        self,
        spec: StudySpec,
        problem: Problem,
        blackbox: Blackbox,
        *,
        faults: Faults,
        reports: Sequence[float],
        suggestion_s: float | Callable[[], float] = 0.0,
    ) -> None:
        """`suggestion_s` is how long computing a suggestion takes: called after each, where it is a function."""
        self.now_s = 0.0
        self._spec, self._problem, self._blackbox = spec, problem, blackbox
        self._faults, self._reports = faults, sorted(reports)
        self._suggestion_s = suggestion_s
        instant = suggestion_s == 0  # there is no need to prepare any, then
        self._ahead = ahead.Ahead(depth=0 if instant else ahead.depth(spec.search.concurrency))
        self._thinks = False  # a suggestion is being computed: it stands in the queue
        self._algorithm = algorithms.create(spec.search.algorithm, problem)
        self._queue: list[tuple[float, int, _Next | Suggestion]] = []
        self._order = itertools.count()
        self._spent: dict[int, float] = {}  # seconds from the beginning to a trial's last report, on even workers
        self._latest: dict[int, Observation] = {}
        self._seen = 0

    def run(self, recorder: Recorder) -> str | None:
        """Run the study; returns why it stopped before the end of its budget, if it did."""
        self._recorder = recorder
        self._course = Course(self._spec, recorder)
        self._end_s = None if self._spec.search.hours is None else self.now_s + self._spec.search.hours * 3600
        reason = stopping.reason(self._spec, recorder.log)
        while reason is None:
            self._fill()
            if not self._queue:
                self._course.finish()
                return None
            due_s, _, coming = heapq.heappop(self._queue)
            if self._end_s is not None and due_s > self._end_s:
                self.now_s = self._end_s
                return "hours"
            self.now_s = due_s
            if isinstance(coming, Suggestion):
                self._thinks = False
                self._ahead.computed(coming)
            else:
                self._happen(coming)
            recorder.tell()
            if recorder.broken is not None:
                raise recorder.broken
            reason = stopping.reason(self._spec, recorder.log)
        return reason

    # -- what starts -------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Give every free place a trial."""
        while len(self._queue) - self._thinks < self._spec.search.concurrency:
            trial = self._course.next_trial() or self._suggested()
            if trial is None:
                break
            self._start(trial.id, number=trial.attempt + 1 if trial.started_s is not None else 0, losses=0)
        self._think(wanted=False)

    def _suggested(self) -> Trial | None:
        if self._course.room == 0:
            return None
        self._think(wanted=True)
        suggestion = self._ahead.take()
        if suggestion is None:
            return None
        self._recorder.suggested(suggestion)
        return self._recorder.log.trials[suggestion.id]

    def _think(self, *, wanted: bool) -> None:
        """Begin to compute what is to be computed next, unless something is being computed already."""
        while not self._thinks:
            coming = self._ahead.next(self._recorder.log, room=self._course.room, wanted=wanted)
            if coming is None:
                return
            suggestion = self._computed(coming)
            seconds = self._suggestion_s() if callable(self._suggestion_s) else self._suggestion_s
            suggestion = replace(suggestion, seconds=seconds)
            if seconds > 0:
                self._thinks = True
                heapq.heappush(self._queue, (self.now_s + seconds, next(self._order), suggestion))
            else:
                self._ahead.computed(suggestion)

    def _computed(self, coming: ahead.Next) -> Suggestion:
        log = self._recorder.log
        for seen in log.observations[self._seen :]:
            self._latest[seen.trial] = seen
        self._seen = len(log.observations)
        history = list(self._latest.values())
        (suggestion,) = algorithms.propose(
            self._algorithm,
            name=self._spec.search.algorithm.name,
            history=history,
            pending=[*log.pending, *coming.prepared],
            n=1,
            seed=self._spec.search.seed,
            first_id=coming.number,
            history_position=log.position,
        )
        if self._spec.search.regret is not None:
            suggestion = algorithms.bound_regret(suggestion, self._problem, history, self._spec.search.algorithm)
        return suggestion

    def _start(self, trial: int, *, number: int, losses: int) -> None:
        self._recorder.started(trial, number, None)
        slow = self._faults.slow(self._spec.search.seed, trial, number)
        self._go_on(_Attempt(trial, number, losses, slow))

    def _go_on(self, attempt: _Attempt) -> None:
        """Train to the next report, or to whatever comes before it; after the last one the trial is completed."""
        trial, seed = self._recorder.log.trials[attempt.trial], self._spec.search.seed
        step = trial.step + 1
        resource = next((resource for resource in self._reports if resource > trial.resource), None)
        if resource is None:
            self._ended(attempt, "completed", None)
            return
        try:
            if trial.id not in self._spent:
                self._spent[trial.id] = self._train(trial, trial.resource)[1] if trial.resource else 0.0
            metrics, end_s = self._train(trial, resource)
        except Exception as error:
            self._schedule(_Next(attempt, "failed", reason=f"{type(error).__name__}: {error}"))
            return
        seconds = max(0.0, end_s - self._spent[trial.id]) * attempt.slow
        lost = self._faults.preempted(seed, trial.id, attempt.number, step)
        if lost is not None:
            self._schedule(_Next(attempt, "lost", seconds * lost))
        elif self._faults.failed(seed, trial.id, attempt.number, step):
            self._schedule(_Next(attempt, "failed", seconds, reason="a simulated failure"))
        else:
            self._schedule(_Next(attempt, "report", seconds, resource, metrics))

    def _train(self, trial: Trial, resource: float) -> tuple[Metrics, float]:
        if isinstance(self._blackbox, Staged):
            return self._blackbox.along(population.stages(self._recorder.log, trial.id), resource)
        return self._blackbox(trial.config, resource)

    def _schedule(self, coming: _Next) -> None:
        heapq.heappush(self._queue, (self.now_s + coming.seconds, next(self._order), coming))

    # -- what happens ------------------------------------------------------------------------------------------------

    def _happen(self, coming: _Next) -> None:
        attempt = coming.attempt
        if coming.kind == "report":
            self._report(coming)
        elif coming.kind == "failed":
            self._ended(attempt, "failed", coming.reason)
        elif coming.kind == "back":
            self._start(attempt.trial, number=attempt.number + 1, losses=attempt.losses)
        elif attempt.losses == self._spec.train.retries:
            reason = f"lost its workers {attempt.losses + 1} times (train: retries is {attempt.losses})"
            self._ended(attempt, "failed", reason)
        else:
            again = replace(attempt, losses=attempt.losses + 1)
            self._schedule(_Next(again, "back", self._faults.restart_s))

    def _report(self, coming: _Next) -> None:
        attempt, trial = coming.attempt, self._recorder.log.trials[coming.attempt.trial]
        try:
            numbers, why = boundary.accept(coming.metrics or {}, self._spec.objectives)
        except ReportError as error:
            self._ended(attempt, "failed", str(error))
            return
        if why is not None:
            self._ended(attempt, "diverged", f"{why} at report {trial.step + 1}", numbers)
            return
        self._spent[trial.id] += coming.seconds / attempt.slow
        decision = self._course.reported(
            Reported(
                trial=trial.id,
                attempt=attempt.number,
                step=trial.step + 1,
                resource=coming.resource,
                metrics=numbers,
                worker_seconds=coming.seconds * self._spec.train.workers,
                checkpoint=None,
            )
        )
        if decision == "continue":
            self._go_on(attempt)

    def _ended(self, attempt: _Attempt, status: Ending, reason: str | None, metrics: Metrics | None = None) -> None:
        self._course.ended(
            Ended(trial=attempt.trial, attempt=attempt.number, status=status, reason=reason, metrics=metrics)
        )
