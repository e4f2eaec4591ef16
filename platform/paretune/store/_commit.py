"""Commits that happen exactly once, and never by a writer that was superseded.

Every commit of ours carries a Delta application transaction: one constant application, a number that rises. A number is
`epoch * 2**32 + batch`; a writer takes a table over by committing the next epoch's number with no data.

- *Exactly once*: after a failure that leaves open whether the commit happened, the table's number tells.
- *Fence*: Delta refuses a commit when another of the same application happened since the handle was opened. The handle
  of a `FencedTable` never moves past another writer's commit: it moves by its own commits alone, and whenever it is
  opened afresh the number is compared. (Maintenance, which has no number, uses handles of its own.)
"""

from __future__ import annotations

import time

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from paretune.errors import FencedError, StoreError
from paretune.store._location import brief

_APPLICATION = "paretune"
_EPOCH = 2**32
RETRY_S = (0.1, 0.5, 2.0, 5.0)
"""Waits between the tries of one commit: long enough for a network's hiccup, short enough to be told of a full disk."""


class FencedTable:
    """One table as one writer sees it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            self._open()
        except Exception as error:
            raise StoreError(f"{uri}: cannot be opened: {brief(error)}") from error

    def _open(self) -> None:
        self.handle = DeltaTable(self.uri)
        self.number = self.handle.transaction_version(_APPLICATION) or 0

    @property
    def next_epoch(self) -> int:
        """The number that takes this table over."""
        return (self.number // _EPOCH + 1) * _EPOCH

    def claim(self, number: int) -> None:
        """Take the table over. Raises FencedError when another writer did so at the same moment."""
        if self.number >= number:
            raise self._fenced()
        try:
            self.handle.create_write_transaction(
                [], mode="append", schema=self.handle.schema(), commit_properties=_numbered(number)
            )
        except Exception as error:
            raise StoreError(f"{self.uri}: the study could not be taken over: {brief(error)}") from error
        self._open()
        if self.number != number:
            raise self._fenced()

    def append(self, rows: pa.Table, number: int) -> None:
        """Add rows in one commit, once, however often it takes. Raises FencedError, StoreError."""
        expected = self.number
        try:
            return self._append(rows, number)
        except Exception as error:
            failure = error
        for wait_s in RETRY_S:
            time.sleep(wait_s)
            try:
                self._open()  # the last try may have gone through: what does the table say?
                if self.number == number:
                    return None
                if self.number != expected:
                    raise self._fenced()
                return self._append(rows, number)
            except FencedError:
                raise
            except Exception as error:  # deltalake raises plain ones too; whatever it was, the table knows
                failure = error
        raise StoreError(
            f"{self.uri}: {len(rows)} rows could not be committed: {brief(failure)}",
            hint="what was committed before is safe: mend the store and resume the study",
        ) from failure

    def _append(self, rows: pa.Table, number: int) -> None:
        write_deltalake(self.handle, rows, mode="append", commit_properties=_numbered(number))
        self.number = number

    def delete_from(self, position: int, number: int) -> None:
        """Delete the rows from a position on."""
        try:
            self.handle.delete(f"position >= {position}", commit_properties=_numbered(number))
        except Exception as error:
            raise StoreError(f"{self.uri}: could not be repaired: {brief(error)}") from error
        self.number = number

    def _fenced(self) -> FencedError:
        return FencedError(
            f"{self.uri}: another writer took the study over; nothing more is written by this one",
            hint="only one process may run a study: stop this one, or resume the study here once the other has ended",
        )


def _numbered(number: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(_APPLICATION, number)])
