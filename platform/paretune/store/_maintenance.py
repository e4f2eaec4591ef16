"""What keeps commits and reads fast as a study grows: compaction, a checkpoint, and cleaning up the Delta log.

It happens on a thread and on handles of its own, beside the commits: compaction rewrites files without changing a row,
so it conflicts with no append, and nothing waits for it. If it fails it is tried again later; a study does not
depend on it. Superseded files are deleted when they are older than the tables' retention (see `_tables`), so that
nobody who is reading loses one.
"""

from __future__ import annotations

import logging
import threading

from deltalake import DeltaTable

from paretune.store._location import brief

COMMITS = 50
"""Commits between two rounds: a commit costs a few ms more with 50 small files, a round a few tens of ms."""
_VACUUM_ROUNDS = 10

_logger = logging.getLogger(__name__)


class Maintenance:
    """The upkeep of one table."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._commits = 0
        self._rounds = 0
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """Count a commit; start a round when one is due and none is running."""
        self._commits += 1
        if self._commits >= COMMITS and (self._thread is None or not self._thread.is_alive()):
            self._commits = 0
            self._rounds += 1
            self._thread = threading.Thread(target=self._round, name="paretune-maintenance", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for a running round, and leave the table compact."""
        if self._thread is not None:
            self._thread.join()
        if self._commits > 1:
            self._round()

    def _round(self) -> None:
        try:
            compact(self._uri, vacuum=self._rounds % _VACUUM_ROUNDS == 1)
        except Exception as error:
            _logger.warning("%s: not compacted this time: %s", self._uri, brief(error))


def compact(uri: str, *, vacuum: bool) -> None:
    """Join a table's small files, write a checkpoint, drop expired log entries and (`vacuum`) superseded files."""
    table = DeltaTable(uri)
    table.optimize.compact()
    table.create_checkpoint()
    table.cleanup_metadata()
    if vacuum:
        table.vacuum(dry_run=False, full=True)
