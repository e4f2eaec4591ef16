"""What every scheduler owes its users; a new file in `schedulers/` is tested without being named here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest

from paretune import schedulers
from paretune.errors import SchedulerError
from paretune.log import Log
from paretune.records import Event, EventKind, Proposal, Report, Suggestion
from paretune.schedulers import Scheduler
from paretune.settings import SchedulerSpec
from paretune.study import StudySpec, build

EPOCHS = 27
ONE: dict[str, Any] = {"error": "minimize"}
TWO: dict[str, Any] = {"error": "minimize", "speed": "maximize"}
LIMITED: dict[str, Any] = {"error": {"goal": "minimize", "limit": 0.5}}


@dataclass(frozen=True)
class Variant:
    """A scheduler, and one of the choices among its settings."""

    name: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        return "-".join([self.name, *map(str, self.settings.values())])


def variants() -> Iterator[Variant]:
    """Every scheduler as it is by default, with each option of a closed choice, and with two brackets."""
    for name in schedulers.names():
        yield Variant(name, {})
        for field, info in type(schedulers.settings(SchedulerSpec(name=name))).model_fields.items():
            if get_origin(info.annotation) is Literal:
                yield from (Variant(name, {field: option}) for option in get_args(info.annotation))
            if field == "brackets":
                yield Variant(name, {field: 2})


pytestmark = pytest.mark.parametrize("of", list(variants()), ids=str)


def spec(of: Variant, objectives: dict[str, Any] = ONE, *, trials: int = 40, **settings: Any) -> StudySpec:
    return build(
        {
            "name": "study",
            "trainable": "cnn",
            "objectives": objectives,
            "space": {"x": {"type": "float", "low": 0, "high": 1}},
            "search": {"scheduler": {"name": of.name, **of.settings, **settings}, "trials": trials, "seed": 5},
            "train": {"epochs": EPOCHS},
        },
        where="test",
    )


Curve = Callable[[int, int], dict[str, float] | None]
"""(trial, epoch) -> metrics; None for a trial that diverges there."""


def curve(trial: int, epoch: int) -> dict[str, float]:
    rng = np.random.default_rng([trial, 1])
    final, speed = rng.random(), rng.random()
    return {"error": float(final + 1.0 / epoch), "speed": float(speed)}


class Study:
    """Plays a study by hand: `workers` trials at a time, whose next report comes at random."""

    def __init__(self, chosen: StudySpec, *, workers: int = 4, seed: int = 0, metrics: Curve = curve) -> None:
        self.spec, self.workers, self.curve = chosen, workers, metrics
        self.rng = random.Random(seed)
        self.scheduler = schedulers.create(chosen)
        self.log = Log()
        self.decisions: list[tuple[int, float, str]] = []
        self.epoch: dict[int, int] = {}
        self.promotions: list[int] = []

    def event(self, kind: EventKind, trial: int, **fields: Any) -> None:
        self.log.append(Event(position=self.log.position, kind=kind, time_s=0.0, trial=trial, **fields))
        schedulers.told(self.scheduler, self.log.entries[-1])

    def play(self) -> Study:
        running: list[int] = []
        while True:
            while len(running) < self.workers and (trial := self.start()) is not None:
                running.append(trial)
            if not running:
                return self
            trial = self.rng.choice(running)
            if self.advance(trial):
                running.remove(trial)

    def start(self) -> int | None:
        last = len(self.log.trials) == self.spec.search.trials
        while (over := self.scheduler.next_stop(last=last)) is not None:
            assert self.log.trials[over].status == "paused"
            self.event("stopped", over)
        trial = self.scheduler.next_promotion(last=last)
        assert trial == self.scheduler.next_promotion(last=last), "asking changes nothing"
        if trial is not None:
            assert self.log.trials[trial].status == "paused"
            self.event("promoted", trial)
            self.promotions.append(trial)
        elif not last and self.scheduler.room != 0:
            trial = len(self.log.trials)
            proposal = Proposal(config={"x": 0.5}, origin="random")
            suggestion = Suggestion(id=trial, proposal=proposal, algorithm="random", history_position=0)
            self.event("suggested", trial, suggestion=suggestion)
        if trial is not None:
            self.event("started", trial)
        return trial

    def advance(self, trial: int) -> bool:
        """One more epoch; whether the trial's workers are free then."""
        epoch = self.epoch[trial] = self.epoch.get(trial, 0) + 1
        metrics = self.curve(trial, epoch)
        if metrics is None:
            self.event("diverged", trial)
            return True
        self.log.append(
            Report(
                position=self.log.position, trial=trial, attempt=0, step=epoch, resource=epoch, time_s=0.0,
                metrics=metrics,
            )
        )  # fmt: skip
        decision = schedulers.told(self.scheduler, self.log.entries[-1])
        self.decisions.append((trial, epoch, decision))
        if decision == "continue":
            if epoch == EPOCHS:
                self.event("completed", trial)
            return epoch == EPOCHS
        self.event("paused" if decision == "pause" else "stopped", trial)
        return True

    def statuses(self) -> set[str]:
        return {trial.status for trial in self.log.trials.values()}


@pytest.mark.parametrize("objectives", [ONE, TWO, LIMITED], ids=["one", "two", "limited"])
def test_every_study_comes_to_an_end_with_a_trial_trained_in_full(of: Variant, objectives: dict[str, Any]) -> None:
    study = Study(spec(of, objectives)).play()
    assert "completed" in study.statuses()
    assert study.statuses() <= {"completed", "stopped", "paused"}
    assert len(study.log.trials) == 40


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
def test_the_log_rebuilds_it_at_any_point(of: Variant, objectives: dict[str, Any]) -> None:
    """A scheduler told of the first part of the log decides the rest as the one that was there from the beginning."""
    study = Study(spec(of, objectives), seed=1).play()
    entries = study.log.entries
    for cut in range(0, len(entries), 41):
        rebuilt = schedulers.create(study.spec)
        schedulers.follow(rebuilt, entries[:cut])
        assert _decisions(rebuilt, entries[cut:]) == _decisions_after(study, cut)


def _decisions(scheduler: Scheduler, entries: list[Any]) -> list[str]:
    told = [(entry, schedulers.told(scheduler, entry)) for entry in entries]
    return [decision for entry, decision in told if isinstance(entry, Report)]


def _decisions_after(study: Study, cut: int) -> list[str]:
    reports = sum(isinstance(entry, Report) for entry in study.log.entries[:cut])
    return [decision for _, _, decision in study.decisions[reports:]]


def test_promotions_and_late_stops_follow_from_the_log(of: Variant) -> None:
    study = Study(spec(of), seed=2).play()
    fresh, again, log = schedulers.create(study.spec), [], Log()
    for entry in study.log.entries:
        last = len(log.trials) == study.spec.search.trials
        if isinstance(entry, Event) and entry.kind == "promoted":
            again.append(fresh.next_promotion(last=last))
        elif isinstance(entry, Event) and entry.kind == "stopped" and log.trials[entry.trial or 0].status == "paused":
            assert fresh.next_stop(last=last) == entry.trial
        log.append(entry)
        schedulers.told(fresh, entry)
    assert again == study.promotions


def test_a_decision_that_was_not_carried_out_is_found(of: Variant) -> None:
    study = Study(spec(of), seed=3).play()
    carried = [
        (position, entry)
        for position, entry in enumerate(study.log.entries)
        if isinstance(entry, Event) and entry.kind in ("paused", "stopped")
        if (before := study.log.entries[position - 1]).trial == entry.trial and isinstance(before, Report)
    ]
    assert carried or of.name == "none"
    for position, entry in carried:
        left = schedulers.follow(schedulers.create(study.spec), study.log.entries[:position])
        assert left == {entry.trial: "pause" if entry.kind == "paused" else "stop"}
    assert schedulers.follow(schedulers.create(study.spec), study.log.entries) == {}


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
def test_what_is_not_finite_is_worst_and_never_promoted(of: Variant, objectives: dict[str, Any]) -> None:
    def broken(trial: int, epoch: int) -> dict[str, float]:
        return {"error": float("nan"), "speed": 0.5} if trial % 2 else curve(trial, epoch)

    study = Study(spec(of, objectives), metrics=broken).play()
    assert not any(trial % 2 for trial in study.promotions)
    if of.name != "none":
        assert all(study.log.trials[trial].status == "stopped" for trial in range(1, 40, 2))


def test_trials_that_diverge_hold_up_nobody(of: Variant) -> None:
    study = Study(spec(of), metrics=lambda trial, epoch: None if trial % 3 else curve(trial, epoch)).play()
    assert "completed" in study.statuses()


def test_ties_end_too(of: Variant) -> None:
    study = Study(spec(of, TWO), metrics=lambda trial, epoch: {"error": 0.3, "speed": 1.0}).play()
    assert "completed" in study.statuses()


def test_a_report_told_twice_is_judged_once(of: Variant) -> None:
    """An attempt that goes on from an older checkpoint reports what it reported before."""
    study = Study(spec(of), workers=1).play()
    scheduler = schedulers.create(study.spec)
    for entry in study.log.entries:
        decision = schedulers.told(scheduler, entry)
        if isinstance(entry, Report) and decision == "continue":
            assert schedulers.told(scheduler, entry) == "continue"
            assert schedulers.told(scheduler, entry) == "continue"
    assert [d for _, _, d in study.decisions] == _decisions(schedulers.create(study.spec), study.log.entries)


def test_better_trials_get_at_least_as_far(of: Variant) -> None:
    """With curves that never cross and one worker, the best of all trials is trained to the end."""
    study = Study(spec(of, trials=30), workers=1, metrics=lambda t, e: {"error": (t * 7 % 30) + 1.0 / e}).play()
    best = next(trial for trial in range(30) if trial * 7 % 30 == 0)
    assert study.log.trials[best].status == "completed"


def test_a_training_that_reports_rarely_is_judged_at_the_rungs_it_reaches(of: Variant) -> None:
    scheduler = schedulers.create(spec(of))
    log = Log()
    for trial in range(12):
        proposal = Proposal(config={"x": 0.5}, origin="random")
        suggestion = Suggestion(id=trial, proposal=proposal, algorithm="random", history_position=0)
        log.append(Event(position=log.position, kind="suggested", time_s=0, trial=trial, suggestion=suggestion))
        schedulers.told(scheduler, log.entries[-1])
        for step, resource in enumerate((5, 27), 1):
            log.append(
                Report(
                    position=log.position, trial=trial, attempt=0, step=step, resource=resource, time_s=0,
                    metrics={"error": 1.0 + trial},
                )
            )  # fmt: skip
            decision = schedulers.told(scheduler, log.entries[-1])
            assert not (resource == 27 and decision != "continue"), "a training that is over is not cut short"


def test_an_unknown_setting_is_refused_with_a_way_out(of: Variant) -> None:
    with pytest.raises(SchedulerError, match=f"scheduler: {of.name}: unknown setting 'gracee'"):
        schedulers.create(spec(of, gracee=3))
