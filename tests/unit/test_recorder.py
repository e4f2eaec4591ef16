"""The recorder: log first, listeners only once stored, a broken store remembered."""

from __future__ import annotations

import pickle

from paretune.engine.messages import Ended, Reported
from paretune.engine.recorder import Recorder
from paretune.errors import StoreError
from paretune.log import Log
from paretune.records import Entry, Proposal, Suggestion
from paretune.study import StudySpec


class Writer:
    """Stores what it is given when told to."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.committed, self.hurried, self.fails = 0, 0, False

    def append(self, entry: Entry) -> None:
        if self.fails:
            raise StoreError("the disk is full")
        self.entries.append(entry)

    def hurry(self) -> None:
        self.hurried += 1

    def flush(self) -> None:
        self.committed = len(self.entries)


class Ear:
    def __init__(self) -> None:
        self.heard: list[Entry] = []

    def on_start(self, spec: StudySpec, log: Log) -> None: ...

    def on_entry(self, entry: Entry) -> None:
        self.heard.append(entry)

    def on_end(self) -> None: ...


def suggestion(number: int) -> Suggestion:
    return Suggestion(
        id=number, proposal=Proposal(config={"x": 1.0}, origin="random"), algorithm="random", history_position=0
    )


def report(step: int) -> Reported:
    return Reported(
        trial=0, attempt=0, step=step, resource=step, metrics={"e": 1.0 / step}, worker_seconds=0.1, checkpoint=None
    )


def test_the_log_knows_at_once_and_listeners_when_it_is_stored() -> None:
    writer, ear = Writer(), Ear()
    recorder = Recorder(Log(), writer, [ear])
    recorder.suggested(suggestion(0))
    recorder.started(0, 0, None)
    recorder.reported(report(1))
    recorder.tell()
    assert recorder.log.trials[0].metrics == {"e": 1.0}
    assert ear.heard == []
    writer.committed = 2
    recorder.tell()
    assert [entry.position for entry in ear.heard] == [0, 1]
    recorder.ended(Ended(trial=0, attempt=0, status="completed"))
    assert writer.hurried == 1
    recorder.flush()
    assert [entry.position for entry in ear.heard] == [0, 1, 2, 3]
    assert recorder.log.history[0].metrics == {"e": 1.0}


def test_a_resumed_log_is_not_told_again() -> None:
    writer, ear = Writer(), Ear()
    first = Recorder(Log(), writer, [])
    first.suggested(suggestion(0))
    writer.flush()
    second = Recorder(Log(writer.entries), writer, [ear])
    second.started(0, 1, None)
    second.flush()
    assert [entry.position for entry in ear.heard] == [1]


def test_a_store_that_breaks_is_remembered_and_nothing_more_is_recorded() -> None:
    writer = Writer()
    recorder = Recorder(Log(), writer, [])
    recorder.suggested(suggestion(0))
    writer.fails = True
    recorder.started(0, 0, None)
    assert isinstance(recorder.broken, StoreError)
    assert recorder.log.trials[0].status == "pending"
    writer.fails = False
    recorder.started(0, 0, None)
    assert recorder.log.position == 1


def test_tune_may_pickle_it() -> None:
    recorder = Recorder(Log(), Writer(), [Ear()])
    assert isinstance(pickle.loads(pickle.dumps(recorder)), Recorder)
