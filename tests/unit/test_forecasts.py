"""Schedulers under an algorithm that has a model of whole trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from paretune import schedulers
from paretune.log import Log
from paretune.records import WHOLE, Event, EventKind, Forecast, Line, Proposal, Report, Suggestion
from paretune.schedulers import Decision
from paretune.study import StudySpec, build


class Play:
    """Writes a log by hand, the scheduler listening."""

    def __init__(self, scheduler: Mapping[str, Any], objectives: Mapping[str, Any] | None = None) -> None:
        self.scheduler = schedulers.create(spec(scheduler, objectives or {"error": "minimize"}))
        self.log = Log(rungs=self.scheduler.rungs)

    def suggest(self, mean: Mapping[str, float] | None = None, **notes: Any) -> int:
        trial = len(self.log.trials)
        proposal = Proposal(config={"x": 0.5}, origin="model", mean=mean, notes=notes)
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


STOP, PROMOTE = {"name": "asha"}, {"name": "asha", "kind": "promote"}


def spec(scheduler: Mapping[str, Any], objectives: Mapping[str, Any]) -> StudySpec:
    return build(
        {
            "name": "promises",
            "trainable": "cnn",
            "objectives": dict(objectives),
            "space": {"x": {"type": "float", "low": 0, "high": 1}},
            "search": {"trials": 30, "algorithm": "gp", "scheduler": dict(scheduler)},
            "train": {"epochs": 9},
        },
        where="test",
    )


@pytest.mark.parametrize("scheduler", [STOP, PROMOTE])
def test_a_trial_wanted_whole_goes_on_and_its_results_count(scheduler: Mapping[str, Any]) -> None:
    play = Play(scheduler)
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
    play = Play(PROMOTE)
    note = Forecast({1.0: {"error": Line(-1.0, 10.0, 9.0)}}).note
    trials = [play.suggest(**note) for _ in range(6)]
    decisions = [play.report(trial, 1, 1.0 + trial) for trial in trials]
    assert decisions == ["pause", "pause", "continue", "continue", "continue", "continue"]
    stop = Play(STOP)
    stopped = [stop.suggest(**note) for _ in range(6)]
    assert [stop.report(trial, 1, 6.0 - trial) for trial in stopped] == ["continue"] * 2 + ["stop"] * 4


def test_a_trial_is_judged_against_what_is_expected_of_the_others() -> None:
    """Whatever the rung has seen: a forecast that was too hopeful once does not count against those that come later."""
    play = Play(STOP)
    hopeful = Forecast({1.0: {"error": Line(1.0, -9.0, 9.0)}}).note
    for trial in [play.suggest(**hopeful) for _ in range(9)]:
        play.report(trial, 1, 1.0 + 0.01 * trial)
    ends = [{"error": 0.1 * place} for place in range(31)]
    note = Forecast({1.0: {"error": Line(1.0, 0.0, 9.0)}}, {1.0: ends}).note
    assert [play.report(play.suggest(**note), 1, error) for error in (0.95, 1.0, 1.05)] == ["continue"] * 2 + ["stop"]


def test_several_objectives_are_judged_by_their_front() -> None:
    ends = {1.0: [{"error": 1.0 + place, "size": 1.0 + place} for place in range(31)]}
    note = Forecast({1.0: {"error": Line(1.0, 0.0, 9.0), "size": Line(1.0, 0.0, 9.0)}}, ends).note
    play = Play(STOP, objectives={"error": "minimize", "size": "minimize"})
    for number, trial in enumerate([play.suggest() for _ in range(9)]):
        play.report(trial, 1, 0.1 * number, size=0.1 * number)
    assert play.report(play.suggest(**note), 1, 0.5, size=40.0) == "continue", "nobody has a smaller error"
    assert play.report(play.suggest(**note), 1, 40.0, size=40.0) == "stop"


def test_a_forecast_that_is_not_there_leaves_the_scores_as_they_are() -> None:
    forecast = Forecast({1.0: {"error": Line(2.0, 0.5, 0.1)}})
    assert forecast.final(1.0, {"error": 1.0, "other": 3.0}) == {"error": 2.5, "other": 3.0}
    assert forecast.final(3.0, {"error": 1.0}) == {"error": 1.0}
    assert forecast.final(1.0, {"other": 3.0}) == {"other": 3.0}
    assert Proposal(config={}, origin="model", notes=json.loads(json.dumps(forecast.note))).forecast == forecast
    assert Proposal(config={}, origin="model").forecast is None


def test_a_trial_that_cannot_become_the_best_any_more_ends() -> None:
    """However many of the others are worse."""
    ends = {1.0: [{"error": 1.0 + place} for place in range(31)]}
    play = Play(STOP)
    certain, open_ = (Forecast({1.0: {"error": Line(1.0, 0.0, sd)}}, ends).note for sd in (0.1, 1.0))
    assert play.report(play.suggest(**certain), 1, 2.0) == "stop"
    assert play.report(play.suggest(**open_), 1, 2.0) == "continue"
    assert play.report(play.suggest(**certain), 1, 1.05) == "continue"


@pytest.mark.parametrize("scheduler", [STOP, PROMOTE])
def test_a_trial_that_keeps_its_promise_goes_on(scheduler: Mapping[str, Any]) -> None:
    """Though all others are expected to end better, and better than it ever may: that was known when it was begun."""
    ends = {rung: [{"error": 0.01 * place} for place in range(31)] for rung in (1.0, 3.0)}
    note = Forecast({1.0: {"error": Line(1.0, 0.0, 0.1)}, 3.0: {"error": Line(2.0, 0.0, 0.1)}}, ends).note
    play = Play(scheduler)
    kept, broken = (play.suggest(mean={"error": 2.0}, **note) for _ in range(2))
    assert play.report(kept, 1, 2.0) == "continue"
    assert play.report(broken, 1, 2.1) != "continue"
    assert play.report(kept, 3, 1.1) != "continue"


def test_a_promise_is_kept_in_every_objective() -> None:
    play = Play(STOP, objectives={"error": "minimize", "score": "maximize"})
    lines = {1.0: {"error": Line(1.0, 0.0, 0.1), "score": Line(1.0, 0.0, 0.1)}}
    note = Forecast(lines, {1.0: [{"error": 0.0, "score": 9.0}] * 3}).note
    for error, score, decision in [(2.0, 5.0, "continue"), (2.1, 6.0, "stop"), (1.0, 4.9, "stop")]:
        assert play.report(play.suggest(mean={"error": 2.0, "score": 5.0}, **note), 1, error, score=score) == decision


def test_beyond_a_reference_nothing_joins_the_front() -> None:
    """Unless nothing is expected within it yet."""
    objectives = {"error": {"goal": "minimize", "reference": 1.0}, "size": "minimize"}
    lines = {1.0: {"error": Line(1.0, 0.0, 0.1), "size": Line(1.0, 0.0, 0.1)}}
    for others, decision in ((0.5, "stop"), (5.0, "continue")):
        ends = {1.0: [{"error": others, "size": 5.0 + place} for place in range(31)]}
        play = Play(STOP, objectives)
        assert play.report(play.suggest(**Forecast(lines, ends).note), 1, 2.0, size=1.0) == decision
        assert play.report(play.suggest(**Forecast(lines, ends).note), 1, 0.9, size=1.0) == "continue"


def test_hyperband_promotes_by_expected_ends() -> None:
    play = Play({"name": "hyperband", "brackets": 1})
    note = Forecast({1.0: {"error": Line(-1.0, 10.0, 1.0)}, 3.0: {"error": Line(1.0, 0.0, 1.0)}}).note
    trials = [play.suggest(**note) for _ in range(9)]
    assert [play.report(trial, 1, 1.0 + trial) for trial in trials] == ["pause"] * 9
    promoted = []
    while (trial := play.scheduler.next_promotion(last=False)) is not None:
        promoted.append(trial)
        play.event("promoted", trial)
    assert promoted == [8, 7, 6]
    assert [play.report(trial, 3, 1.0 + trial) for trial in promoted] == ["pause"] * 3
    assert play.scheduler.next_promotion(last=False) == 6


def test_hyperband_trains_whole_what_is_wanted_whole() -> None:
    play = Play({"name": "hyperband", "brackets": 1})
    wanted, *others = [play.suggest(**(WHOLE if number == 0 else {})) for number in range(9)]
    assert [play.report(wanted, epoch, 100.0) for epoch in (1, 2, 3, 4, 9)] == ["continue"] * 5
    play.event("completed", wanted)
    assert [play.report(trial, 1, float(trial)) for trial in others] == ["pause"] * 8
    assert play.scheduler.next_promotion(last=False) == others[0]


def test_the_median_rule_compares_expected_ends() -> None:
    play = Play({"name": "median", "others": 2})
    ends = {3.0: [{"error": 0.1 * place} for place in range(31)]}
    note = Forecast({3.0: {"error": Line(-1.0, 10.0, 5.0)}}, ends).note
    wanted = play.suggest(**WHOLE)
    assert [play.report(play.suggest(), 3, 0.1), play.report(play.suggest(), 3, 0.2)] == ["continue"] * 2
    assert play.report(wanted, 3, 50.0) == "continue"
    assert play.report(play.suggest(**note), 3, 9.0) == "continue", "it ends with 1.0, better than half"
    assert play.report(play.suggest(**note), 3, 8.0) == "stop", "it ends with 2.0"
    assert play.report(play.suggest(**note), 2, 50.0) == "continue", "nobody else was there"
