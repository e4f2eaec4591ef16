"""Adding to a study's log: entries are gathered, and committed together within half a second."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import pyarrow as pa

from paretune.errors import StoreError, StoreLocationError
from paretune.records import Entry, Report
from paretune.store._commit import FencedTable
from paretune.store._lease import Hold, take
from paretune.store._location import Folder, brief
from paretune.store._maintenance import Maintenance
from paretune.store._reader import Header, StoredStudy, assemble, read_entries, read_header
from paretune.store._tables import REPORTS, event_row, events_schema, report_row

GATHER_S = 0.4
"""How long a batch gathers: with the commit itself, an entry is stored within half a second."""

PAUSE_S = 0.1
"""The least time between hurried commits, so that a stream of very short trials does not cost one commit each."""


_SIGNAL_S = 0.2
"""How often a waiting flush looks up: a signal that reached another thread is handled only then."""


class Writer:
    """The one writer of a study; opening it takes the study over from any earlier one.

    `stored` is the study as it was found; its log ends where `append` goes on. Entries are committed in the background,
    reports before the events of the same batch. `flush` returns when everything appended before is stored. What goes
    wrong in the background is raised by the next call; after that the writer is of no more use.

    Raises on opening StudyNotFoundError, SchemaError, StudyBusyError (another writer is alive; `takeover` pushes it
    aside); later FencedError (another took over) and StoreError (the store is out of reach).
    """

    def __init__(self, location: str, name: str, *, takeover: bool = False) -> None:
        header = read_header(location, name)
        self._columns = header.columns
        self._events_schema = events_schema(header.columns)
        self._hold = _take(header.folder, takeover=takeover)
        try:
            self._take_over(header)
        except BaseException:
            self._hold.release()
            raise
        self.position = self.stored.log.position
        self._maintenance = (Maintenance(self._reports.uri), Maintenance(self._events.uri))
        self._buffer: list[tuple[bool, pa.RecordBatch]] = []
        self._changed = threading.Condition()  # guards the fields above and below
        self._stored = self._wanted = self.position  # what is committed, and what a flush waits for
        self._flushing = 0  # how many wait for a commit
        self._last_s = -PAUSE_S  # when the last commit ended
        self._closed = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="paretune-store", daemon=True)
        self._thread.start()

    def append(self, entry: Entry) -> None:
        """Take one more entry, whose position must be the next one.

        Raises ValueError, KeyError or TypeError for an entry that the tables cannot hold, and what the background met.
        """
        rows = self._row(entry)
        with self._changed:
            self._check()
            if entry.position != self.position:
                raise ValueError(f"store: position must be {self.position}, got {entry.position}")
            self.position += 1
            self._buffer.append((isinstance(entry, Report), rows))
            self._changed.notify_all()

    def flush(self) -> None:
        """Return when all that was appended is stored; an interrupt of the wait does the writer no harm."""
        with self._changed:
            self._check()
            self._wanted = wanted = self.position
            self._flushing += 1
            self._changed.notify_all()
            try:
                while self._stored < wanted and self._failure is None:
                    self._changed.wait(_SIGNAL_S)
            finally:
                self._flushing -= 1
            self._check()

    def hurry(self) -> None:
        """Commit what was appended at once, in the background."""
        with self._changed:
            self._wanted = self.position
            self._changed.notify_all()

    @property
    def committed(self) -> int:
        """How many entries of the log are stored."""
        return self._stored

    def close(self) -> None:
        """Store what is left, tidy up and let the study go; raises as `flush` does."""
        if self._closed:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            self._thread.join()
            if self._failure is not None:
                raise self._failure
        finally:
            for table in self._maintenance:
                table.close()
            self._hold.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_over(self, header: Header) -> None:
        """Fence earlier writers off, then read what they left, and remove the reports whose events never came."""
        self._events = FencedTable((header.folder / "events").uri)
        self._reports = FencedTable((header.folder / "reports").uri)
        self._number = max(self._events.next_epoch, self._reports.next_epoch)
        self._events.claim(self._number)
        self._reports.claim(self._number)
        entries, beyond = read_entries(header)
        if beyond:
            self._number += 1
            self._reports.delete_from(len(entries), self._number)
        self.stored: StoredStudy = assemble(header, entries)

    def _row(self, entry: Entry) -> pa.RecordBatch:
        """One row as a batch: an entry that does not fit fails here, in the caller's hands."""
        if isinstance(entry, Report):
            return pa.RecordBatch.from_pylist([report_row(entry)], schema=REPORTS)
        return pa.RecordBatch.from_pylist([event_row(entry, self._columns)], schema=self._events_schema)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoreError("store: the writer is closed")

    def _run(self) -> None:
        """Commit batch after batch, in a thread of its own: no signal can interrupt a commit there."""
        try:
            while batch := self._gather():
                self._commit(batch)
                with self._changed:
                    self._stored += len(batch)
                    self._last_s = time.monotonic()
                    self._changed.notify_all()
        except BaseException as error:  # raised again by the owner's next call
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _gather(self) -> list[tuple[bool, pa.RecordBatch]]:
        """Wait for entries, and a while for more unless somebody waits for them; none when the writer was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closed)
            self._changed.wait_for(lambda: self._wanted > self._stored or self._closed, timeout=GATHER_S)
            pause_s = self._last_s + PAUSE_S - time.monotonic()
            if pause_s > 0:
                self._changed.wait_for(lambda: self._flushing or self._closed, timeout=pause_s)
            batch, self._buffer = self._buffer, []
            return batch

    def _commit(self, batch: list[tuple[bool, pa.RecordBatch]]) -> None:
        self._number += 1
        reports, events = self._maintenance
        for table, upkeep, kind in ((self._reports, reports, True), (self._events, events, False)):
            rows = [row for is_report, row in batch if is_report is kind]
            if rows:
                table.append(pa.Table.from_batches(rows), self._number)
                upkeep.committed()


def _take(folder: Folder, *, takeover: bool) -> Hold:
    try:
        return take(folder, takeover=takeover)
    except OSError as error:
        raise StoreLocationError(f"{folder.uri}: must be a study that can be written: {brief(error)}") from error
