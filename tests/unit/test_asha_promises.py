"""ASHA under an algorithm that has a model of whole trainings."""

from __future__ import annotations

from typing import Any

import pytest

from paretune import schedulers
from paretune.log import Log
from paretune.records import WHOLE, Event, EventKind, Promises, Proposal, Report, Suggestion
from paretune.schedulers import Decision
from paretune.study import StudySpec, build


class Play:
    """Writes a log by hand, the scheduler listening."""

    def __init__(self, kind: str) -> None:
        self.scheduler = schedulers.create(spec(kind))
        self.log = Log(rungs=self.scheduler.rungs)

    def suggest(self, **notes: Any) -> int:
        trial = len(self.log.trials)
        proposal = Proposal(config={"x": 0.5}, origin="model", notes=notes)
        suggestion = Suggestion(id=trial, proposal=proposal, algorithm="gp", history_position=0)
        self.event("suggested", trial, suggestion=suggestion)
        self.event("started", trial)
        return trial

    def event(self, kind: EventKind, trial: int, **fields: Any) -> None:
        self.tell(Event(position=self.log.position, kind=kind, time_s=0.0, trial=trial, **fields))

    def report(self, trial: int, epoch: int, error: float) -> Decision:
        decision = self.tell(
            Report(
                position=self.log.position, trial=trial, attempt=0, step=epoch, resource=epoch, time_s=0.0,
                metrics={"error": error},
            )
        )  # fmt: skip
        if decision == "pause":
            self.event("paused", trial)
        return decision

    def tell(self, entry: Event | Report) -> Decision:
        self.log.append(entry)
        return schedulers.told(self.scheduler, entry)


def spec(kind: str) -> StudySpec:
    return build(
        {
            "name": "promises",
            "trainable": "cnn",
            "objectives": {"error": "minimize"},
            "space": {"x": {"type": "float", "low": 0, "high": 1}},
            "search": {"trials": 30, "algorithm": "gp", "scheduler": {"name": "asha", "kind": kind}},
            "train": {"epochs": 9},
        },
        where="test",
    )


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_a_trial_wanted_whole_goes_on_and_its_results_count(kind: str) -> None:
    play = Play(kind)
    wanted = play.suggest(**WHOLE)
    others = [play.suggest() for _ in range(5)]
    for number, trial in enumerate(others):
        play.report(trial, 1, 0.1 + number)
    assert play.report(wanted, 1, 100.0) == "continue"
    assert play.report(wanted, 3, 100.0) == "continue"
    later = play.suggest()
    assert play.report(later, 1, 0.05) == "continue", "among the best of seven"


def test_the_promised_are_promoted_and_not_the_best_scores() -> None:
    play = Play("promote")
    trials = [play.suggest() for _ in range(6)]
    for trial in trials[:5]:
        play.report(trial, 1, 1.0 + trial)
    play.suggest(**Promises(below=9.0, trials={4: -1.0, 3: -2.0}).note)
    assert play.scheduler.next_promotion(last=False) == 4
    play.event("promoted", 4)
    assert play.scheduler.next_promotion(last=False) == 3
    play.event("promoted", 3)
    assert play.scheduler.next_promotion(last=False) is None, "what is not promised waits for the next suggestion"


def test_from_where_nothing_is_promised_scores_decide() -> None:
    """Six trials come to the second rung, each better than those before it: every third one is among the best."""
    play = Play("promote")
    trials = [play.suggest(**Promises(below=3.0, trials={}).note) for _ in range(6)]
    for trial in trials:
        assert play.report(trial, 1, 1.0) == "pause"
        play.event("promoted", trial)
        play.event("started", trial)
    decisions = [play.report(trial, 3, 1.0 - 0.1 * trial) for trial in trials]
    assert decisions == ["pause", "pause", "continue", "continue", "continue", "continue"]
    assert play.scheduler.next_promotion(last=False) is None
    assert play.scheduler.next_promotion(last=True) is None


def test_what_waits_at_the_end_of_the_suggestions_is_promoted_by_score() -> None:
    play = Play("promote")
    trials = [play.suggest() for _ in range(3)]
    play.suggest(**Promises(below=9.0, trials={}).note)
    for trial in trials:
        assert play.report(trial, 1, 1.0 + trial) == "pause"
    assert play.scheduler.next_promotion(last=False) is None
    assert play.scheduler.next_promotion(last=True) == 0
