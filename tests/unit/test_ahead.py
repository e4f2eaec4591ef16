"""Suggestions prepared ahead: how many, and that what comes of them replays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_simulation import blackbox, spec

import paretune as pt
from paretune import schedulers
from paretune.engine.ahead import Ahead, Next, depth
from paretune.log import Log
from paretune.records import ENDINGS, Event, Proposal, Suggestion
from paretune.replay import replay


def suggestion(number: int) -> Suggestion:
    proposal = Proposal(config={"x": 0.5}, origin="model")
    return Suggestion(id=number, proposal=proposal, algorithm="random", history_position=0)


def record(log: Log, kind: str, trial: int, made: Suggestion | None = None) -> None:
    log.append(Event(position=log.position, kind=kind, time_s=0.0, trial=trial, suggestion=made))  # type: ignore[arg-type]


def start(log: Log, made: Suggestion | None) -> None:
    """A free worker takes a suggestion."""
    assert made is not None
    record(log, "suggested", made.id, made)
    record(log, "started", made.id)


def test_as_many_are_prepared_as_it_is_deep() -> None:
    ahead, log = Ahead(depth=3), Log()
    for number in range(3):
        coming = ahead.next(log, room=9, wanted=False)
        assert coming == Next(number, [suggestion(before) for before in range(number)])
        ahead.computed(suggestion(number))
    assert ahead.next(log, room=9, wanted=True) is None
    start(log, ahead.take())
    assert ahead.next(log, room=9, wanted=False) == Next(3, [suggestion(1), suggestion(2)])


def test_with_one_worker_nothing_is_computed_before_it_is_free() -> None:
    ahead, log = Ahead(depth=depth(1)), Log()
    assert ahead.next(log, room=9, wanted=False) is None
    assert ahead.next(log, room=9, wanted=True) == Next(0, [])
    ahead.computed(suggestion(0))
    assert ahead.next(log, room=9, wanted=True) is None
    start(log, ahead.take())
    record(log, "completed", 0)
    assert ahead.next(log, room=9, wanted=False) is None


def test_no_more_are_prepared_than_there_is_room_for() -> None:
    ahead, log = Ahead(depth=4), Log()
    for number in (0, 1):
        assert ahead.next(log, room=2, wanted=False) is not None
        ahead.computed(suggestion(number))
    assert ahead.next(log, room=2, wanted=True) is None


@pytest.mark.parametrize("scheduler", schedulers.names())
@pytest.mark.parametrize(("workers", "suggestion_s"), [(3, 4.0), (16, 4.0), (16, 30.0)])
def test_what_was_prepared_ahead_replays(tmp_path: Path, scheduler: str, workers: int, suggestion_s: float) -> None:
    faults = pt.Faults(failures=0.02, preemptions=0.05, stragglers=0.2)
    given = spec(tmp_path, scheduler=scheduler, algorithm="tpe", trials=28)
    study = pt.simulate(given, blackbox, workers=workers, faults=faults, suggestion_s=suggestion_s)
    assert len(study.trials) == 28
    assert study.replay().difference is None
    made = [trial.suggestion for trial in study.log.trials.values()]
    assert all(each.seconds == suggestion_s for each in made)
    unrecorded = [set(each.pending) - study.log.before(each.history_position).trials.keys() for each in made]
    assert any(unrecorded) == (workers == 16)


def test_a_pending_trial_that_never_was_is_a_difference(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path, algorithm="tpe"), blackbox, workers=3, suggestion_s=1.0)
    entries = list(study.log.entries)
    place, event = next((i, e) for i, e in enumerate(entries) if isinstance(e, Event) and e.suggestion and e.trial == 7)
    assert isinstance(event, Event)
    assert event.suggestion is not None
    entries[place] = replace(event, suggestion=replace(event.suggestion, pending=(*event.suggestion.pending, 99)))
    difference = replay(study.spec, Log(entries)).difference
    assert difference is not None
    assert (difference.what, difference.trial) == ("suggestion", 7)


def idle_s(study: pt.Study, workers: int) -> float:
    """Worker-seconds without a trial up to the last suggestion."""
    events = [entry for entry in study.log.entries if isinstance(entry, Event)]
    until_s = max(event.time_s for event in events if event.kind == "suggested")
    started = {event.trial: event.time_s for event in events if event.kind == "started"}
    ended = {event.trial: event.time_s for event in events if event.kind in ENDINGS}
    return workers * until_s - sum(min(ended[trial], until_s) - start_s for trial, start_s in started.items())


def test_workers_wait_only_for_what_cannot_be_prepared_in_time(tmp_path: Path) -> None:
    """Trials of 90 s on 16 workers, all started at once: with 1 s for a suggestion two are ready when all are free."""
    study = pt.simulate(spec(tmp_path, trials=32), blackbox, workers=16, suggestion_s=1.0)
    first_wave = sum(range(1, 17))  # the n-th worker waits n seconds for its first suggestion
    assert idle_s(study, 16) == first_wave  # by then they are free one after the other
