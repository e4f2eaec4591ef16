"""Adding to a study: batches, retries, fences, repairs, upkeep."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from store_samples import PROVENANCE, event, log_entries, report, spec, suggested

from paretune import store
from paretune.errors import FencedError, StoreError, StudyBusyError
from paretune.records import Entry
from paretune.store import _commit, _maintenance


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(_commit, "RETRY_S", (0.0, 0.0))
    store.create(spec(tmp_path), PROVENANCE)
    return str(tmp_path)


def append_all(writer: store.Writer, entries: list[Entry]) -> None:
    for entry in entries:
        writer.append(entry)


def entries_of(location: str) -> list[Entry]:
    return store.read(location, "cnn").log.entries


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def failing(monkeypatch: pytest.MonkeyPatch, *, times: int, after: bool) -> list[int]:
    """Make the next commits fail, before or after they happened; returns the growing list of calls."""
    real, calls = _commit.write_deltalake, []  # type: ignore[attr-defined]

    def write(*args: Any, **kwargs: Any) -> None:
        calls.append(len(args[1]))
        if len(calls) > times:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise OSError("connection reset")

    monkeypatch.setattr(_commit, "write_deltalake", write)
    return calls


def test_what_is_flushed_is_there_for_any_reader(location: str) -> None:
    entries = log_entries(2)
    with store.Writer(location, "cnn") as writer:
        append_all(writer, entries[:5])
        writer.flush()
        assert entries_of(location) == entries[:5]
        append_all(writer, entries[5:])
        writer.flush()
        writer.flush()
        assert entries_of(location) == entries


def test_entries_are_stored_without_a_flush_while_the_writer_is_open(location: str) -> None:
    with store.Writer(location, "cnn") as writer:
        append_all(writer, log_entries(1))
        wait_for(lambda: len(entries_of(location)) == 6)


def test_a_writer_goes_on_where_the_last_one_ended(location: str) -> None:
    entries = log_entries(2)
    with store.Writer(location, "cnn") as writer:
        append_all(writer, entries[:7])
    with store.Writer(location, "cnn") as writer:
        assert writer.stored.log.entries == entries[:7]
        assert writer.position == 7
        append_all(writer, entries[7:])
    assert entries_of(location) == entries


def test_positions_must_follow_each_other(location: str) -> None:
    with store.Writer(location, "cnn") as writer:
        with pytest.raises(ValueError, match="position must be 0, got 1"):
            writer.append(event(1, "opened"))
        writer.append(event(0, "opened"))
    with pytest.raises(StoreError, match="closed"):
        writer.append(event(1, "opened"))


def test_an_entry_that_fits_no_column_fails_in_the_callers_hands_and_leaves_no_hole(location: str) -> None:
    with store.Writer(location, "cnn") as writer:
        with pytest.raises(pa.ArrowInvalid):
            writer.append(suggested(0, 0, config={"lr": "high"}))
        with pytest.raises(TypeError, match="not JSON serializable"):
            writer.append(event(0, "opened", details={"object": object()}))
        writer.append(event(0, "opened"))
    assert len(entries_of(location)) == 1


@pytest.mark.parametrize("after", [False, True], ids=["it did not happen", "it happened, but the answer was lost"])
def test_a_commit_that_fails_is_tried_again_and_happens_once(
    location: str, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    entries = log_entries(3)
    with store.Writer(location, "cnn") as writer:
        append_all(writer, entries[:6])
        writer.flush()
        calls = failing(monkeypatch, times=2, after=after)
        append_all(writer, entries[6:])
        writer.flush()
        assert len(calls) >= 2  # once for each table
    assert entries_of(location) == entries


def test_a_store_out_of_reach_is_reported_by_the_next_call_and_loses_nothing_committed(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = log_entries(2)
    writer = store.Writer(location, "cnn")
    append_all(writer, entries[:6])
    writer.flush()
    with monkeypatch.context() as patch:
        failing(patch, times=1000, after=False)
        writer.append(entries[6])
        wait_for(lambda: writer._failure is not None)  # in the background
        with pytest.raises(StoreError, match="could not be committed: connection reset"):
            writer.append(entries[7])
        with pytest.raises(StoreError, match="resume the study"):
            writer.flush()
    with pytest.raises(StoreError):  # an entry is missing in its log: it may not go on
        writer.close()
    with store.Writer(location, "cnn") as again:
        assert again.stored.log.entries == entries[:6]


def test_an_interrupted_flush_leaves_the_writer_sound(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come at any moment, and that it came has to be stored."""
    real, begun, go_on = _commit.write_deltalake, threading.Event(), threading.Event()  # type: ignore[attr-defined]

    def slow(*args: Any, **kwargs: Any) -> None:
        begun.set()
        go_on.wait()
        real(*args, **kwargs)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    monkeypatch.setattr(_commit, "write_deltalake", slow)
    with store.Writer(location, "cnn") as writer:
        writer.append(event(0, "opened"))
        threading.Thread(target=lambda: begun.wait() and os.kill(os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            writer.flush()
        signal.signal(signal.SIGUSR1, before)
        go_on.set()
        writer.append(event(1, "interrupted"))
        writer.flush()
    assert len(entries_of(location)) == 2


def test_a_second_writer_is_refused_while_the_first_is_alive(location: str) -> None:
    with store.Writer(location, "cnn") as writer:
        with pytest.raises(StudyBusyError, match=rf"process {os.getpid()} on .+ since") as caught:
            store.Writer(location, "cnn")
        assert caught.value.exit_code == 2
        writer.append(event(0, "opened"))
        writer.flush()
    with store.Writer(location, "cnn"):
        pass


def test_a_writer_that_was_taken_over_writes_nothing_more(location: str) -> None:
    entries = log_entries(3)
    old = store.Writer(location, "cnn")
    append_all(old, entries[:4])
    old.flush()
    with store.Writer(location, "cnn", takeover=True) as new:
        append_all(old, entries[4:6])
        with pytest.raises(FencedError, match="took the study over"):
            old.flush()
        append_all(new, entries[4:9])
        new.flush()
        with pytest.raises(FencedError):
            old.append(entries[6])
        with pytest.raises(FencedError):
            old.close()
        append_all(new, entries[9:])
        with pytest.raises(StudyBusyError):  # the old one's end did not release the new one's hold
            store.Writer(location, "cnn")
    assert entries_of(location) == entries


def test_a_writer_that_slept_while_the_log_was_cleaned_up_writes_nothing_more(location: str) -> None:
    """The versions it would conflict with are gone then, so that its next version number is free."""
    entries = log_entries(2)
    old = store.Writer(location, "cnn")
    with store.Writer(location, "cnn", takeover=True) as new:
        for entry in entries[:6]:
            new.append(entry)
            new.flush()
        for name in ("events", "reports"):
            table = Path(location) / "cnn" / name
            _maintenance.compact(str(table), vacuum=False)
            for file in (table / "_delta_log").iterdir():
                os.utime(file, (time.time() - 3600,) * 2)
            _maintenance.compact(str(table), vacuum=False)
            assert not (table / "_delta_log" / f"{2:020d}.json").exists()
        for entry in (entries[0], report(1, 0, 1)):  # a batch for each table
            old.append(entry)
        with pytest.raises(FencedError):
            old.flush()
        append_all(new, entries[6:])
    assert entries_of(location) == entries
    with pytest.raises(FencedError):
        old.close()


def test_maintenance_of_a_writer_that_was_taken_over_does_not_let_it_back_in(location: str) -> None:
    old = store.Writer(location, "cnn")
    for position in range(5):
        old.append(event(position, "opened"))
        old.flush()
    with store.Writer(location, "cnn", takeover=True) as new:
        new.append(event(5, "opened"))
        new.flush()
        for upkeep in old._maintenance:
            upkeep.close()  # compacts tables that are no longer its own: harmless, no row changes
        old.append(event(5, "closed"))
        with pytest.raises(FencedError):
            old.flush()
        new.append(event(6, "closed"))
    assert [entry.kind for entry in entries_of(location)] == ["opened"] * 6 + ["closed"]  # type: ignore[union-attr]
    with pytest.raises(FencedError):
        old.close()


def test_reports_whose_events_were_never_committed_did_not_happen(location: str) -> None:
    entries = log_entries(2)
    writer = store.Writer(location, "cnn")
    append_all(writer, entries[:2])
    writer.flush()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    writer._events.append = crash  # type: ignore[assignment, method-assign]
    append_all(writer, entries[2:8])  # reports at 2, 3, 4, then events at 5, 6, 7
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    append_position = DeltaTable(f"{location}/cnn/reports").count()
    assert append_position == 3
    assert entries_of(location) == entries[:5]  # up to the first that is missing
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    with store.Writer(location, "cnn") as again:
        assert again.position == 5


def test_a_position_is_never_used_for_two_entries(location: str) -> None:
    start: list[Entry] = [suggested(0, 0), event(1, "started", 0)]
    writer = store.Writer(location, "cnn")
    append_all(writer, start)
    writer.flush()
    writer._reports.append(_rows([report(3, 0, 1, val_error=666.0)]), writer._number + 1)  # event 2 was lost in a crash
    writer.close()
    assert entries_of(location) == start
    going_on: list[Entry] = [*start, report(2, 0, 1, val_error=0.5), report(3, 0, 2, val_error=0.25)]
    with store.Writer(location, "cnn") as again:
        assert again.stored.log.entries == start
        append_all(again, going_on[2:])
    assert entries_of(location) == going_on


def _rows(entries: list[Any]) -> pa.Table:
    from paretune.store._tables import REPORTS, report_row

    return pa.Table.from_pylist([report_row(entry) for entry in entries], schema=REPORTS)


def test_a_long_study_stays_compact_and_keeps_every_row(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_maintenance, "COMMITS", 5)
    entries = log_entries(20, reports=1)
    with store.Writer(location, "cnn") as writer:
        for entry in entries:
            writer.append(entry)
            writer.flush()
            if entry.position == 50:
                assert entries_of(location) == entries[:51]
    assert entries_of(location) == entries
    assert len(DeltaTable(f"{location}/cnn/events").file_uris()) <= 5  # of 60 commits
    assert list((Path(location) / "cnn" / "events" / "_delta_log").glob("*.checkpoint.parquet"))


def test_superseded_files_are_deleted_when_they_are_old_and_not_before(location: str) -> None:
    entries = log_entries(3)
    with store.Writer(location, "cnn") as writer:
        for entry in entries:
            writer.append(entry)
            writer.flush()
    folder = Path(location) / "cnn" / "events"
    before = len(list(folder.glob("*.parquet")))
    _maintenance.compact(str(folder), vacuum=True)
    assert len(list(folder.glob("*.parquet"))) == before
    DeltaTable(folder).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    assert len(list(folder.glob("*.parquet"))) == 1
    assert entries_of(location) == entries


def test_maintenance_that_fails_is_tried_again_later_and_hurts_nobody(
    location: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(uri: str, *, vacuum: bool) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(_maintenance, "compact", broken)
    with store.Writer(location, "cnn") as writer:
        for position in range(3):
            writer.append(event(position, "opened"))
            writer.flush()
    assert "not compacted this time: no space left on device" in caplog.text
    assert len(entries_of(location)) == 3
