"""The log: a study's state is what its entries add up to, in any split of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from paretune.log import Log, latest
from paretune.records import Entry, Event, EventKind, Proposal, Report, Suggestion


def suggestion(number: int, position: int = 0) -> Suggestion:
    proposal = Proposal(config={"lr": 0.1 * (number + 1)}, origin="random")
    return Suggestion(id=number, proposal=proposal, algorithm="random", history_position=position)


class Writer:
    """Numbers entries and lets a second pass between them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def event(self, kind: EventKind, trial: int | None = None, **fields: Any) -> None:
        position = len(self.entries)
        self.entries.append(Event(position=position, kind=kind, time_s=100.0 + position, trial=trial, **fields))

    def report(self, trial: int, step: int, error: float, **fields: Any) -> None:
        position = len(self.entries)
        self.entries.append(
            Report(
                position=position,
                trial=trial,
                attempt=fields.pop("attempt", 1),
                step=step,
                resource=2.0 * step,
                time_s=100.0 + position,
                metrics={"error": error},
                **fields,
            )
        )


@pytest.fixture
def entries() -> list[Entry]:
    write = Writer()
    write.event("opened")
    write.event("suggested", 0, suggestion=suggestion(0))
    write.event("suggested", 1, suggestion=suggestion(1))
    write.event("started", 0, attempt=1)
    write.report(0, 1, 0.5, worker_seconds=1.5, checkpoint="trials/0/1")
    write.event("started", 1, attempt=1)
    write.report(0, 2, 0.4, worker_seconds=1.0)
    write.event("failed", 1, reason="ValueError: no", details={"traceback": "Traceback ..."})
    write.event("started", 0, attempt=2)
    write.report(0, 3, 0.3, attempt=2, worker_seconds=0.5)
    write.event("suggested", 2, suggestion=suggestion(2, position=10))
    write.event("completed", 0, metrics={"error": 0.3, "latency_ms": 2.0})
    return write.entries


def test_trials_hold_their_present_state(entries: list[Entry]) -> None:
    log = Log(entries)
    first, second, third = (log.trials[number] for number in range(3))
    assert (first.status, first.attempt, first.step, first.resource) == ("completed", 2, 3, 6.0)
    assert first.metrics == {"error": 0.3, "latency_ms": 2.0}
    assert first.checkpoint == "trials/0/1"
    assert first.seconds == 111.0 - 103.0
    assert first.worker_seconds == 3.0
    assert (second.status, second.reason, second.traceback) == ("failed", "ValueError: no", "Traceback ...")
    assert (third.status, third.seconds, third.checkpoint) == ("pending", 0.0, None)


def test_history_is_in_order_of_ending_and_pending_in_order_of_numbers(entries: list[Entry]) -> None:
    log = Log(entries)
    assert [observation.trial for observation in log.history] == [1, 0]
    assert log.history[0].metrics == {}
    assert log.history[1].metrics == {"error": 0.3, "latency_ms": 2.0}
    assert [waiting.id for waiting in log.pending] == [2]
    assert [trial.id for trial in log.ended] == [0, 1]


def test_history_is_not_changed_by_what_comes_later(entries: list[Entry]) -> None:
    log = Log(entries[:-1])
    before = list(log.history)
    log.append(entries[-1])
    assert list(log.history)[: len(before)] == before


def test_before_is_the_log_as_it_stood(entries: list[Entry]) -> None:
    whole = Log(entries)
    growing = Log()
    for position, entry in enumerate(entries):
        earlier = whole.before(position)
        assert earlier.history == growing.history
        assert earlier.pending == growing.pending
        growing.append(entry)
    assert growing.position == whole.position == len(entries)


def test_a_trial_at_time_zero_has_started() -> None:
    log = Log()
    log.append(Event(position=0, kind="suggested", time_s=0.0, trial=0, suggestion=suggestion(0)))
    log.append(Event(position=1, kind="started", time_s=0.0, trial=0, attempt=1))
    log.append(Event(position=2, kind="started", time_s=3.0, trial=0, attempt=2))
    log.append(Event(position=3, kind="completed", time_s=5.0, trial=0))
    assert log.trials[0].seconds == 5.0


def test_a_gap_or_a_repetition_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match="position must be 2, got 3"):
        Log([*entries[:2], entries[3]])
    with pytest.raises(ValueError, match="position must be 2, got 1"):
        Log([*entries[:2], entries[1]])


def test_a_trial_cannot_end_twice(entries: list[Entry]) -> None:
    again = Event(position=len(entries), kind="stopped", time_s=200.0, trial=0)
    with pytest.raises(ValueError, match="trial 0 ended twice, completed and then stopped"):
        Log([*entries, again])


def test_study_events_leave_trials_alone(entries: list[Entry]) -> None:
    log = Log(entries)
    pending = log.pending
    for kind in ("interrupted", "opened", "amended", "closed"):
        log.append(Event(position=log.position, kind=kind, time_s=300.0))  # type: ignore[arg-type]
    assert log.pending == pending


def test_a_pause_is_observed_and_a_promotion_takes_it_up_again() -> None:
    write = Writer()
    for trial in (0, 1):
        write.event("suggested", trial, suggestion=suggestion(trial))
        write.event("started", trial)
        write.report(trial, 1, 0.5 + trial)
    write.event("paused", 0)
    log = Log(write.entries)
    assert [(o.trial, o.status, o.resource) for o in log.observations] == [(0, "paused", 2.0)]
    assert [waiting.id for waiting in log.pending] == [1]
    assert [trial.id for trial in log.under_way] == [1]
    assert list(log.history) == []
    write.event("promoted", 0)
    log = Log(write.entries)
    assert [waiting.id for waiting in log.pending] == [1], "something is known of trial 0"
    assert [trial.id for trial in log.under_way] == [0, 1]
    assert log.trials[0].status == "pending"
    write.event("stopped", 1)
    write.event("completed", 0)
    log = Log(write.entries)
    assert [(o.trial, o.status) for o in log.observations] == [(0, "paused"), (1, "stopped"), (0, "completed")]
    assert [(o.trial, o.status) for o in latest(log.observations)] == [(0, "completed"), (1, "stopped")]
    assert [o.trial for o in log.history] == [1, 0]


def test_only_a_paused_trial_can_be_promoted(entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match="trial 2 was promoted, but is pending and not paused"):
        Log([*entries, Event(position=len(entries), kind="promoted", time_s=200.0, trial=2)])


def test_a_trial_that_passes_a_rung_is_observed_and_no_longer_pending() -> None:
    write = Writer()
    for number in range(3):
        write.event("suggested", number, suggestion=suggestion(number))
    write.report(0, 1, 0.9)  # resource 2
    write.report(0, 2, 0.7)
    write.report(1, 2, 0.8)  # resource 4: over the first rung at once
    write.report(0, 3, 0.5)
    write.report(0, 4, 0.4, attempt=2)
    write.event("completed", 0, metrics={"error": 0.4})
    log = Log(write.entries, rungs=(2.0, 4.0, 9.0))
    seen = [(o.trial, o.status, dict(o.curve)) for o in log.observations]
    first, second = {2.0: {"error": 0.9}}, {2.0: {"error": 0.9}, 4.0: {"error": 0.7}}
    assert seen == [
        (0, "pending", first),
        (0, "pending", second),
        (1, "pending", {4.0: {"error": 0.8}}),
        (0, "completed", second),
    ]
    assert [entry.id for entry in log.pending] == [2]
    assert log.before(4).pending == [suggestion(1), suggestion(2)]
    assert Log(write.entries).observations == [replace(log.observations[-1], curve={})]
