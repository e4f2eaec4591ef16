"""The course of a study: what comes next, and what becomes of each report. Whoever runs the trials asks here.

Ray (tune_adapters.py) and the virtual clock (paretune.simulation) run trials; both are led by this, so that a rehearsed
study and a real one take the same decisions and leave the same records. Needs no Ray.
"""

from __future__ import annotations

from paretune import schedulers
from paretune.engine.messages import Ended, Reported
from paretune.engine.recorder import Recorder
from paretune.log import Log, Trial
from paretune.schedulers import Decision
from paretune.study import StudySpec

STOPPED = "by the scheduler"
"""Why a trial was stopped that its scheduler judged."""

REPLACED = "by the scheduler, as another trial is to take its place"
"""Why a trial was stopped that its scheduler had paused before."""

LEFT_OVER = "paused, and not promoted by the end of the study"
"""Why a trial was stopped that was paused when the study came to its end."""


class Course:
    """Leads a study, from wherever its log stands."""

    def __init__(self, spec: StudySpec, recorder: Recorder) -> None:
        """Rebuild the scheduler from the log, and carry out what it had decided when an earlier driver died."""
        self._spec, self._recorder = spec, recorder
        self._scheduler = schedulers.create(spec)
        left = schedulers.follow(self._scheduler, self.log.entries)
        self._told = self.log.position
        for trial, decision in left.items():
            self._carry_out(decision, trial, self.log.trials[trial].attempt)
        self._unfinished = self.log.under_way

    @property
    def log(self) -> Log:
        return self._recorder.log

    @property
    def used_up(self) -> bool:
        """Whether no further trial may be suggested."""
        return len(self.log.trials) >= self._spec.search.trials

    @property
    def room(self) -> int:
        """How many trials may be suggested by now, those that are prepared among them."""
        self._tell()
        trials, room = self._spec.search.trials - len(self.log.trials), self._scheduler.room
        return max(0, trials if room is None else min(trials, room))

    def next_trial(self) -> Trial | None:
        """The trial to start, or to go on with, before another is suggested: left by an earlier driver, or promoted."""
        if self._unfinished:
            return self._unfinished.pop(0)
        self._tell()
        self._replace()
        number = self._scheduler.next_promotion(last=self.used_up)
        if number is None:
            return None
        trial = self.log.trials[number]
        self._recorder.event("promoted", number, attempt=trial.attempt)
        return trial

    def reported(self, message: Reported) -> Decision:
        """Record a report and what follows from it; the decision is for the trial's workers."""
        self._recorder.reported(message)
        decision = self._tell()
        self._carry_out(decision, message.trial, message.attempt)
        return decision

    def ended(self, message: Ended) -> None:
        """Record a trial's end."""
        self._recorder.ended(message)

    def finish(self) -> None:
        """When all trials were tried and none can be promoted: what is paused is stopped."""
        if not self.used_up or self.log.under_way or self._recorder.broken is not None:
            return
        for trial in [trial for trial in self.log.trials.values() if trial.status == "paused"]:
            self._recorder.ended(Ended(trial=trial.id, attempt=trial.attempt, status="stopped", reason=LEFT_OVER))

    def _replace(self) -> None:
        """Stop what is paused and never goes on."""
        while self._recorder.broken is None and (over := self._scheduler.next_stop(last=self.used_up)) is not None:
            attempt = self.log.trials[over].attempt
            self._recorder.ended(Ended(trial=over, attempt=attempt, status="stopped", reason=REPLACED))
            self._tell()

    def _tell(self) -> Decision:
        """Tell the scheduler what it has not heard yet; its decision about the last entry."""
        decision: Decision = "continue"
        for entry in self.log.entries[self._told :]:
            decision = schedulers.told(self._scheduler, entry)
        self._told = self.log.position
        return decision

    def _carry_out(self, decision: Decision, trial: int, attempt: int) -> None:
        if decision == "stop":
            self._recorder.ended(Ended(trial=trial, attempt=attempt, status="stopped", reason=STOPPED))
        elif decision == "pause":
            metrics = dict(self.log.trials[trial].metrics)
            self._recorder.event("paused", trial, attempt=attempt, metrics=metrics)
