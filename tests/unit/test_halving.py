"""Rungs against brute force; ASHA, Hyperband and the median rule by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretune as pt
from paretune import schedulers
from paretune.errors import SchedulerError
from paretune.objective import Objectives
from paretune.records import Event, EventKind, Proposal, Report, Suggestion
from paretune.schedulers import Scheduler
from paretune.schedulers._levels import levels
from paretune.schedulers._rung import rung
from paretune.study import build

ONE = Objectives.from_dict({"error": "minimize"})
TWO = Objectives.from_dict({"error": "minimize", "speed": "maximize"})
values = st.integers(0, 5).map(float)


def create(scheduler: Any, *, epochs: int | None = 27, seed: int = 0, objectives: Any = None) -> Scheduler:
    return schedulers.create(
        build(
            {
                "name": "study",
                "trainable": "cnn",
                "objectives": objectives or {"error": "minimize"},
                "space": {"x": {"type": "float", "low": 0, "high": 1}},
                "search": {"scheduler": scheduler, "seed": seed},
                "train": {} if epochs is None else {"epochs": epochs},
            },
            where="test",
        )
    )


def report(scheduler: Scheduler, trial: int, resource: float, error: float, **metrics: float) -> str:
    return scheduler.on_report(
        Report(
            position=0, trial=trial, attempt=0, step=1, resource=resource, time_s=0,
            metrics={"error": error, **metrics},
        )
    )  # fmt: skip


def event(scheduler: Scheduler, kind: EventKind, trial: int) -> None:
    suggestion = Suggestion(
        id=trial, proposal=Proposal(config={"x": 0.5}, origin="r"), algorithm="r", history_position=0
    )
    chosen = suggestion if kind == "suggested" else None
    scheduler.on_event(Event(position=0, kind=kind, time_s=0, trial=trial, suggestion=chosen))


def test_levels_are_exact_and_end_before_the_training_does() -> None:
    assert levels(1, 3, 243) == [1, 3, 9, 27, 81]
    assert levels(1, 3, 244) == [1, 3, 9, 27, 81, 243]
    assert levels(1e6, 4, 1e9) == [1e6, 4e6, 16e6, 64e6, 256e6]
    assert levels(5, 2, 5) == []


@given(st.lists(st.one_of(values, st.just(math.nan)), min_size=1, max_size=30), st.integers(1, 10))
def test_a_rung_of_one_objective_is_a_sorted_list(errors: list[float], best: int) -> None:
    results = rung(ONE)
    for trial, error in enumerate(errors):
        results.add(trial, {"error": error})
    sortable = [(math.inf if math.isnan(error) else error) for error in errors]
    for trial in range(len(errors)):
        assert results.better(trial) == sum(other < sortable[trial] for other in sortable)
    order = sorted(range(len(errors)), key=lambda trial: (sortable[trial], trial))
    found = []
    while (trial := results.waiting(best)) is not None:
        found.append(trial)
        results.leave(trial)
    assert found == order[:best]


@given(st.lists(st.tuples(values, values), min_size=1, max_size=20), st.integers(1, 10))
def test_a_rung_of_several_objectives_puts_what_dominates_first(rows: list[tuple[float, float]], best: int) -> None:
    results = rung(TWO)
    for trial, (error, speed) in enumerate(rows):
        results.add(trial, {"error": error, "speed": -speed})
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if a == b:
                assert results.better(i) == results.better(j)
            elif a[0] <= b[0] and a[1] <= b[1]:
                assert results.better(i) < results.better(j)
    found = []
    while (trial := results.waiting(best)) is not None:
        found.append(trial)
        results.leave(trial)
    assert len(found) == min(best, len(rows))


def test_what_misses_a_limit_comes_after_what_keeps_it_and_nan_last() -> None:
    limited = Objectives.from_dict({"error": "minimize"}, {"latency": {"max": 10}})
    results = rung(limited)
    table = [(0.1, 12.0), (0.9, 9.0), (0.2, 11.0), (math.nan, 1.0), (0.5, 10.0)]
    for trial, (error, latency) in enumerate(table):
        results.add(trial, {"error": error, "latency": latency})
    assert [results.better(trial) for trial in range(5)] == [3, 1, 2, 4, 0]


def test_stopping_asha_by_hand() -> None:
    """Two results stop nobody; of 3 to 5 the best goes on, of 6 the best two."""
    asha = create(pt.ASHA())
    errors = [0.5, 0.6, 0.7, 0.4, 0.45, 0.42, 0.41, 0.9]
    decisions = [report(asha, trial, 1, error) for trial, error in enumerate(errors)]
    assert decisions == ["continue", "continue", "stop", "continue", "stop", "continue", "continue", "stop"]
    assert report(asha, 1, 2, 0.9) == "continue", "between rungs nobody is judged"
    assert [report(asha, trial, 3, error) for trial, error in ((0, 0.3), (1, 0.2), (3, 0.25))] == ["continue"] * 2 + [
        "stop"
    ]


def test_equal_results_go_on_alike() -> None:
    asha = create(pt.ASHA())
    assert {report(asha, trial, 1, 0.5) for trial in range(9)} == {"continue"}


def test_promoting_asha_by_hand() -> None:
    asha = create(pt.ASHA(kind="promote"))
    assert report(asha, 0, 1, 0.5) == "pause"
    assert report(asha, 1, 1, 0.6) == "pause"
    assert asha.next_promotion(last=False) is None, "a third of two is none"
    assert report(asha, 2, 1, 0.7) == "pause"
    assert asha.next_promotion(last=False) == 0
    event(asha, "promoted", 0)
    assert asha.next_promotion(last=False) is None
    assert report(asha, 3, 1, 0.8) == "pause"
    assert report(asha, 4, 1, 0.1) == "continue", "the best of five need not pause"
    assert [report(asha, trial, 1, 0.9) for trial in (5, 6, 7)] == ["pause"] * 3
    assert asha.next_promotion(last=False) is None, "the best two of eight have gone"
    assert report(asha, 8, 1, 0.9) == "pause"
    assert asha.next_promotion(last=False) == asha.next_promotion(last=True) == 1
    event(asha, "stopped", 1)
    assert asha.next_promotion(last=False) is None, "it is third of nine, but has ended"


def test_a_trial_that_is_promoted_at_once_does_not_pause() -> None:
    asha = create(pt.ASHA(kind="promote"))
    assert [report(asha, trial, 1, error) for trial, error in enumerate((0.5, 0.6, 0.1))] == [
        "pause",
        "pause",
        "continue",
    ]


def test_higher_rungs_are_promoted_first() -> None:
    asha = create(pt.ASHA(kind="promote"))
    for trial in range(9):
        report(asha, trial, 1, trial / 10)
    for trial in range(3):
        event(asha, "promoted", trial)
    for trial in range(2):
        report(asha, trial, 3, trial / 10)
    for trial in range(9, 12):
        report(asha, trial, 1, 0.5)
    assert asha.next_promotion(last=False) == 3
    report(asha, 2, 3, 0.9)
    assert asha.next_promotion(last=False) == 0


def test_brackets_are_drawn_from_the_seed_in_hyperbands_shares() -> None:
    """Of 3 brackets on rungs 1, 3, 9 and the end: 27, 9 * 4/3 and 3 * 2 parts."""

    def first_rungs(seed: int) -> list[int]:
        asha = create(pt.ASHA(kind="promote", brackets=3), seed=seed)
        found = []
        for trial in range(400):
            rungs = [resource for resource in (1, 3, 9) if report(asha, trial, resource, 1000.0 + trial) == "pause"]
            found.append(rungs[0] if rungs else 27)
        return found

    drawn = first_rungs(1)
    assert drawn == first_rungs(1)
    assert drawn != first_rungs(2)
    parts = [27, 12, 6]
    for resource, part in zip((1, 3, 9), parts, strict=True):
        expected = 400 * part / sum(parts)
        assert abs(drawn.count(resource) - expected) < 5 * math.sqrt(expected)


def test_hyperband_by_hand() -> None:
    """With 9 epochs: 9 trials from epoch 1, 5 from 3, 3 from 9; 9 -> 3 -> 1."""
    hyperband = create(pt.Hyperband(), epochs=9)
    for trial in range(17):
        event(hyperband, "suggested", trial)
    assert [report(hyperband, trial, 1, trial / 10) for trial in range(8)] == ["pause"] * 8
    assert hyperband.next_promotion(last=False) is None, "the ninth has not come"
    event(hyperband, "failed", 8)
    promoted = []
    while (trial := hyperband.next_promotion(last=False)) is not None:
        promoted.append(trial)
        event(hyperband, "promoted", trial)
    assert promoted == [0, 1, 2]
    assert [report(hyperband, trial, 3, 1 - trial / 10) for trial in promoted] == ["pause"] * 3
    assert hyperband.next_promotion(last=False) == 2
    assert report(hyperband, 9, 1, 0.1) == "continue", "the second bracket begins at 3"
    assert report(hyperband, 9, 3, 0.1) == "pause"
    assert report(hyperband, 14, 3, 0.1) == "continue", "the third one only at the end"


def test_an_incomplete_rung_is_promoted_when_nobody_else_will_come() -> None:
    hyperband = create(pt.Hyperband(), epochs=9)
    for trial in range(4):
        event(hyperband, "suggested", trial)
        report(hyperband, trial, 1, trial / 10)
    assert hyperband.next_promotion(last=False) is None
    assert hyperband.next_promotion(last=True) == 0


def test_the_median_rule_by_hand() -> None:
    median = create(pt.Median(others=2))
    assert [report(median, trial, 1, error) for trial, error in enumerate((0.5, 0.7, 0.6, 0.8, 0.55))] == [
        "continue",
        "continue",
        "continue",  # the second best of three
        "stop",
        "continue",
    ]
    assert report(median, 0, 2, 0.9) == report(median, 1, 2, 0.3) == "continue", "the mean of 0.7 and 0.3 is 0.5"
    assert report(median, 2, 2, 0.5) == "continue", "0.55 lies between 0.5 and 0.7"


def test_one_epoch_topk_by_hand() -> None:
    topk = create(pt.OneEpochTopK(keep=2))
    for trial in range(4):
        event(topk, "suggested", trial)
    for trial, error in enumerate((0.3, 0.1, 0.4)):
        assert report(topk, trial, 1, error) == "pause"
    assert topk.next_promotion(last=True) is None, "the fourth is under way"
    assert report(topk, 3, 1, 0.2) == "pause"
    assert topk.next_promotion(last=False) is None
    assert topk.next_promotion(last=True) == 1
    event(topk, "promoted", 1)
    assert topk.next_promotion(last=True) == 3
    event(topk, "promoted", 3)
    assert topk.next_promotion(last=True) is None


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "one_epoch_topk"])
def test_rungs_need_to_know_the_end_of_a_training(scheduler: str) -> None:
    with pytest.raises(SchedulerError, match="got neither epochs nor max_resource") as caught:
        create(scheduler, epochs=None)
    assert "max_resource: 1e9" in str(caught.value.hint)
    create({"name": scheduler, "resource": "tokens", "max_resource": 1e9}, epochs=None)


def test_an_unknown_scheduler_says_which_one_may_be_meant() -> None:
    with pytest.raises(SchedulerError, match=r"must be one of asha, hyperband, .*got 'hyperbnad'") as caught:
        create("hyperbnad")
    assert caught.value.hint == "did you mean 'hyperband'?"
