"""ASHA under an algorithm that has a model of whole trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from paretune import schedulers
from paretune.log import Log
from paretune.records import WHOLE, Event, EventKind, Forecast, Proposal, Report, Suggestion
from paretune.schedulers import Decision
from paretune.study import StudySpec, build


class Play:
    """Writes a log by hand, the scheduler listening."""

    def __init__(self, kind: str, objectives: Mapping[str, str] | None = None) -> None:
        self.scheduler = schedulers.create(spec(kind, objectives or {"error": "minimize"}))
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

    def report(self, trial: int, epoch: int, error: float, **more: float) -> Decision:
        decision = self.tell(
            Report(
                position=self.log.position, trial=trial, attempt=0, step=epoch, resource=epoch, time_s=0.0,
                metrics={"error": error, **more},
            )
        )  # fmt: skip
        if decision == "pause":
            self.event("paused", trial)
        return decision

    def tell(self, entry: Event | Report) -> Decision:
        self.log.append(entry)
        return schedulers.told(self.scheduler, entry)


def spec(kind: str, objectives: Mapping[str, str]) -> StudySpec:
    return build(
        {
            "name": "promises",
            "trainable": "cnn",
            "objectives": dict(objectives),
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


def test_rungs_compare_how_trials_are_expected_to_end() -> None:
    """The first score is the worse the better the end: of six, those with the worst scores go on."""
    play = Play("promote")
    note = Forecast({1.0: {"error": (-1.0, 10.0)}}).note
    trials = [play.suggest(**note) for _ in range(6)]
    decisions = [play.report(trial, 1, 1.0 + trial) for trial in trials]
    assert decisions == ["pause", "pause", "continue", "continue", "continue", "continue"]
    stop = Play("stop")
    stopped = [stop.suggest(**note) for _ in range(6)]
    assert [stop.report(trial, 1, 6.0 - trial) for trial in stopped] == ["continue"] * 2 + ["stop"] * 4


def test_a_trial_is_judged_against_what_is_expected_of_the_others() -> None:
    """Whatever the rung has seen: a forecast that was too hopeful once does not count against those that come later."""
    play = Play("stop")
    hopeful = Forecast({1.0: {"error": (1.0, -9.0)}}).note
    for trial in [play.suggest(**hopeful) for _ in range(9)]:
        play.report(trial, 1, 1.0 + 0.01 * trial)
    ends = [{"error": 0.1 * place} for place in range(31)]
    note = Forecast({1.0: {"error": (1.0, 0.0)}}, {1.0: ends}).note
    assert [play.report(play.suggest(**note), 1, error) for error in (0.95, 1.0, 1.05)] == ["continue"] * 2 + ["stop"]


def test_several_objectives_are_judged_by_their_front() -> None:
    ends = {1.0: [{"error": 1.0 + place, "size": 1.0 + place} for place in range(31)]}
    note = Forecast({1.0: {"error": (1.0, 0.0), "size": (1.0, 0.0)}}, ends).note
    play = Play("stop", objectives={"error": "minimize", "size": "minimize"})
    for number, trial in enumerate([play.suggest() for _ in range(9)]):
        play.report(trial, 1, 0.1 * number, size=0.1 * number)
    assert play.report(play.suggest(**note), 1, 0.5, size=40.0) == "continue", "nobody has a smaller error"
    assert play.report(play.suggest(**note), 1, 40.0, size=40.0) == "stop"


def test_a_forecast_that_is_not_there_leaves_the_scores_as_they_are() -> None:
    forecast = Forecast({1.0: {"error": (2.0, 0.5)}})
    assert forecast.final(1.0, {"error": 1.0, "other": 3.0}) == {"error": 2.5, "other": 3.0}
    assert forecast.final(3.0, {"error": 1.0}) == {"error": 1.0}
    assert forecast.final(1.0, {"other": 3.0}) == {"other": 3.0}
    assert Proposal(config={}, origin="model", notes=forecast.note).forecast == Forecast(
        {1.0: {"error": [2.0, 0.5]}}  # type: ignore[dict-item] - lists, as JSON has them
    )
    assert Proposal(config={}, origin="model").forecast is None
