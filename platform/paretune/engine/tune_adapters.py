"""Tune's three extension points, each handing on to ours: it executes, it decides nothing.

StudySearcher    suggest        what to try next: what the study's course has to go on with, then the brain's answers
StudyScheduler   on_trial_*     every report and every end is handed to the course, before Tune acts on it
StudyCallback    on_trial_*     starts, and trial actors that died
StudyStopper     stop_all       a rule that is met, hours, an interrupt, a broken store, a study that only fails
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from ray import tune
from ray.exceptions import RayActorError
from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from paretune import stopping
from paretune.engine.brain import Brain
from paretune.engine.course import Course
from paretune.engine.messages import Ended, Reported, Restarted, Setup, Straggling, Task
from paretune.engine.recorder import Recorder
from paretune.engine.trial_actor import MESSAGE, TASK
from paretune.errors import ParetuneError
from paretune.log import Trial
from paretune.records import Suggestion
from paretune.study import StudySpec

if TYPE_CHECKING:
    from ray.tune.experiment import Trial as TuneTrial

FIRST_FAILURES = 5
"""A study whose first trials all fail is wrong somewhere: it stops after this many."""

_WAIT_S = 0.2
"""How often to look up from waiting for a suggestion."""


class StudyStopper(Stopper):
    """Ends the whole study; `reason` says why once it has: interrupted, hours, failing, broken, or a rule in words."""

    def __init__(self, spec: StudySpec, recorder: Recorder) -> None:
        self.reason: str | None = None
        self._spec, self._recorder = spec, recorder
        self._judged = -1  # the log's length when the rules were last looked at: Tune asks many times a second
        self._before = len(recorder.log.history)
        self._deadline = None if spec.search.hours is None else time.monotonic() + spec.search.hours * 3600

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._recorder.broken is not None:
            self.reason = self.reason or "broken"
        elif self._deadline is not None and time.monotonic() > self._deadline:
            self.reason = self.reason or "hours"
        elif self._only_failures():
            self.reason = self.reason or "failing"
        elif self._recorder.log.position != self._judged:
            self._judged = self._recorder.log.position
            self.reason = self.reason or stopping.reason(self._spec, self._recorder.log)
        return self.reason is not None

    def _only_failures(self) -> bool:
        first = self._recorder.log.history[self._before :][:FIRST_FAILURES]
        return len(first) == FIRST_FAILURES and all(o.status == "failed" for o in first)


class GangPool:
    """Which gang is free."""

    def __init__(self, names: Sequence[str]) -> None:
        self._free = list(names)
        self._used: dict[int, str] = {}
        self.present = bool(names)

    def take(self, trial: int) -> str | None:
        """A free gang for the trial; None when trials run in their own actors."""
        if not self.present:
            return None
        self._used[trial] = self._free.pop(0)
        return self._used[trial]

    def give_back(self, trial: int) -> None:
        if trial in self._used:
            self._free.append(self._used.pop(trial))


class StudySearcher(Searcher):
    """Hands Tune the next task."""

    def __init__(
        self,
        spec: StudySpec,
        recorder: Recorder,
        course: Course,
        brain: Brain,
        pool: GangPool,
        stopper: StudyStopper,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self._spec, self._recorder, self._brain, self._pool = spec, recorder, brain, pool
        self._course, self._stopper = course, stopper
        self._running = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """A task, None (not yet), or FINISHED. Tune asks only while a place is free."""
        if self._stopper.stop_all():
            return Searcher.FINISHED
        trial = self._course.next_trial()
        if trial is not None:
            return self._start(trial)
        if self._course.room == 0:  # what runs may still be paused and promoted, or make room
            return None if self._running else Searcher.FINISHED
        suggestion = self._suggestion()
        if suggestion is None:
            return Searcher.FINISHED if self._stopper.stop_all() else None
        self._recorder.suggested(suggestion)
        if self._stopper.stop_all():  # what was suggested may say that enough is known
            return Searcher.FINISHED
        return self._start(self._recorder.log.trials[suggestion.id])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A place became free."""
        self._running -= 1

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the log is the only memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the log is the only memory."""

    def _suggestion(self) -> Suggestion | None:
        """A suggestion if one is ready. With no trial running Tune has nothing else to do: then wait for it."""
        log = self._recorder.log
        try:
            self._brain.advance(log, room=self._course.room, wanted=True)
            suggestion = self._brain.take()
            while suggestion is None and not self._running and not self._stopper.stop_all():
                self._brain.advance(log, room=self._course.room, wanted=True, timeout_s=_WAIT_S)
                suggestion = self._brain.take()
        except Exception as error:
            self._recorder.broken = _algorithm_failed(self._spec.search.algorithm.name, error)
            return None
        return suggestion

    def _start(self, trial: Trial) -> dict[str, Any]:
        self._running += 1
        return {TASK: next_task(self._spec, trial, gang=self._pool.take(trial.id))}


def next_task(spec: StudySpec, trial: Trial, *, gang: str | None) -> Task:
    """The next attempt at a trial, from what is recorded of it."""
    return Task(
        trial=trial.id,
        attempt=trial.attempt + 1 if trial.started_s is not None else 0,
        config=dict(trial.config),
        seed=trial_seed(spec.search.seed, trial.id),
        step=trial.step,
        inherited=trial.inherited.step if trial.inherited is not None else 0,
        checkpoint=trial.checkpoint,
        gang=gang,
    )


def trial_seed(study_seed: int, trial: int) -> int:
    """The seed of one trial, from the study's."""
    return int(np.random.SeedSequence([study_seed, trial]).generate_state(1)[0] & 0x7FFFFFFF)


class StudyScheduler(FIFOScheduler):
    """Hands reports and ends to the study's course, which says whether a trial goes on.

    To Tune a pause is an end: the trial's workers are free, and its promotion is another trial to it.
    """

    def __init__(self, recorder: Recorder, course: Course, pool: GangPool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder, self._course, self._pool = recorder, course, pool

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        message = result[MESSAGE]
        if isinstance(message, Restarted):
            self._recorder.restarted(message)
            return self.CONTINUE
        if isinstance(message, Straggling):
            self._recorder.straggling(message)
            return self.CONTINUE
        assert isinstance(message, Reported)
        if self._course.reported(message) == "continue":
            return self.CONTINUE
        self._pool.give_back(message.trial)
        return self.STOP

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        message = result[MESSAGE]
        if isinstance(message, Ended):
            self._course.ended(message)
            self._pool.give_back(message.trial)


class StudyCallback(tune.Callback):
    """Records starts, and what becomes of a trial whose actor died; keeps the brain busy between them."""

    def __init__(
        self, spec: StudySpec, setup: Setup, recorder: Recorder, course: Course, brain: Brain, pool: GangPool
    ) -> None:
        self._spec, self._setup, self._recorder, self._course = spec, setup, recorder, course
        self._brain, self._pool = brain, pool
        self._lost: dict[int, str] = {}  # what became of the worker of a trial that is to start again

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        self._recorder.tell()
        try:
            self._brain.advance(self._recorder.log, room=self._course.room, wanted=False)
        except Exception as error:
            self._recorder.broken = _algorithm_failed(self._spec.search.algorithm.name, error)

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        task: Task = trial.config[TASK]
        self._recorder.started(task.trial, task.attempt, task.checkpoint, reason=self._lost.pop(task.trial, None))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The actor died, or is to end, and Tune will start another: it shall go on from what is recorded."""
        task: Task = trial.config[TASK]
        self._lost[task.trial] = _fate(_error(trial))
        fresh = next_task(self._spec, self._recorder.log.trials[task.trial], gang=task.gang)
        config = {**trial.config, TASK: replace(fresh, attempt=task.attempt + 1)}
        trial.set_config(config)  # type: ignore[no-untyped-call]

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        task: Task = trial.config[TASK]
        error = _error(trial)
        retries, text = self._setup.retries, None if error is None else str(error)
        reason = f"lost its worker {retries + 1} times (train: retries is {retries}), at last: {_fate(error)}"
        self._recorder.ended(
            Ended(trial=task.trial, attempt=task.attempt, status="failed", reason=reason, traceback=text)
        )
        self._pool.give_back(task.trial)


def _error(trial: TuneTrial) -> Exception | None:
    """What a trial's actor ended with, from the file that Tune copies to its storage when the trial is over."""
    file: Any = trial.pickled_error_file
    return None if file is None else cast(Exception, pickle.loads(Path(file).read_bytes()))


def _fate(error: Exception | None) -> str:
    """What became of a trial's worker, in one line: it says so itself unless it was killed."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ParetuneError):
        return cause.message.splitlines()[0]
    return str(cause) if isinstance(cause, RayActorError) and cause.preempted else "a worker died"


def _algorithm_failed(name: str, error: Exception) -> ParetuneError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ParetuneError):
        return cause
    return ParetuneError(f"algorithm {name}: failed to suggest: {error}", hint="this is a bug worth reporting")
