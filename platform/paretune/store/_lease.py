"""Who may write to a study: one process at a time, and none for ever after it died.

On a local disk it is a file lock, which the system drops with the process, however that ends. Elsewhere it is a lease:
a file that the writer renews every RENEW_S and that counts for nothing once it is EXPIRY_S old. This politeness keeps
two live writers apart; what makes a stale one harmless is the fence in `_commit`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from paretune.errors import StudyBusyError
from paretune.store._location import Folder, brief

RENEW_S = 10.0
EXPIRY_S = 60.0
_FILE = "writer.json"
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some cluster file systems are mounted without locks

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that writes to a study; times are seconds since the epoch."""

    host: str
    pid: int
    since_s: float
    renewed_s: float
    token: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since_s))
        return f"process {self.pid} on {self.host} since {since}"


class Hold(Protocol):
    """The right to write, until released."""

    def release(self) -> None: ...


def take(folder: Folder, *, takeover: bool = False) -> Hold:
    """Become the study's writer; `takeover` pushes a live one aside (the fence then stops it).

    Raises StudyBusyError while another process, or another writer of this one, is at it.
    """
    if folder.path is not None:
        try:
            return _FileLock(folder.path / _FILE, takeover=takeover)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    return _Lease(folder, takeover=takeover)


def holder(folder: Folder) -> Holder | None:
    """The live writer of a study, None when there is none."""
    found = _holder(folder.read(_FILE))
    if found is None or folder.path is None:
        return found if found is not None and _fresh(found) else None
    try:
        with (folder.path / _FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released with the file
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return found if _fresh(found) else None
        return found if error.errno in _BUSY else None
    return None


class _FileLock:
    def __init__(self, path: Path, *, takeover: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if takeover:
            path.unlink(missing_ok=True)  # the old writer keeps its lock on a file that nobody finds any more
        while True:
            self._file = path.open("a+b")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.close()
                if error.errno in _BUSY:
                    raise _busy(path.parent.name, _holder(path.read_bytes())) from None
                raise
            if self._is_at(path):
                break
            self._file.close()  # taken over between open and lock: it is another file now
        self._write(json.dumps(asdict(_this_process())).encode())

    def release(self) -> None:
        self._write(b"")
        self._file.close()

    def _is_at(self, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except FileNotFoundError:
            return False

    def _write(self, data: bytes) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(data)
        self._file.flush()


class _Lease:
    def __init__(self, folder: Folder, *, takeover: bool) -> None:
        self._folder = folder
        found = _holder(folder.read(_FILE))
        if found is not None and _fresh(found) and not takeover:
            raise _busy(folder.name, found)
        self._mine = _this_process()
        self._released = threading.Event()
        self._write()
        self._renewer = threading.Thread(target=self._renew, name="paretune-lease", daemon=True)
        self._renewer.start()

    def release(self) -> None:
        self._released.set()
        self._renewer.join()
        if self._is_mine():
            self._folder.remove(_FILE)

    def _renew(self) -> None:
        while not self._released.wait(RENEW_S):
            try:
                if not self._is_mine():
                    return  # somebody took over; the next commit will say so
                self._write()
            except Exception as error:  # a store that is out of reach for a moment: commits have their own retries
                _logger.warning("%s: the writer's lease could not be renewed: %s", self._folder.uri, brief(error))

    def _is_mine(self) -> bool:
        found = _holder(self._folder.read(_FILE))
        return found is not None and found.token == self._mine.token

    def _write(self) -> None:
        self._folder.write(_FILE, json.dumps({**asdict(self._mine), "renewed_s": time.time()}).encode())


def _this_process() -> Holder:
    now = time.time()
    return Holder(host=socket.gethostname(), pid=os.getpid(), since_s=now, renewed_s=now, token=uuid.uuid4().hex)


def _holder(data: bytes | None) -> Holder | None:
    try:
        return Holder(**json.loads(data)) if data else None
    except ValueError:
        return None  # read in the instant of being written


def _fresh(found: Holder) -> bool:
    return abs(time.time() - found.renewed_s) < EXPIRY_S


def _busy(name: str, found: Holder | None) -> StudyBusyError:
    return StudyBusyError(
        f"{name}: a study has one writer at a time, and it is {found or 'another process'}",
        hint="wait for it or interrupt it; if you are sure that it is dead, take the study over",
    )
