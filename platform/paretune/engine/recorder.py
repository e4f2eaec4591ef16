"""What happens is recorded here first: into the log and the store, and then to whoever listens.

Commits run in the background, so that a slow store never holds up the trials. What makes that safe: the store keeps a
prefix of the log, so nothing can be stored of what followed from an entry that is not; and whatever would outlive a
crash (a line on the screen, a checkpoint removed) waits until its entry is committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from paretune.engine.messages import Ended, Reported, Restarted, Straggling
from paretune.errors import ParetuneError
from paretune.listener import Listener
from paretune.log import Log
from paretune.records import Entry, Event, EventKind, Report, Suggestion


class EntryWriter(Protocol):
    """The part of the store's writer that is needed here."""

    def append(self, entry: Entry) -> None: ...

    def flush(self) -> None: ...

    def hurry(self) -> None: ...

    @property
    def committed(self) -> int: ...


class Recorder:
    """The driver's only way to change the log.

    A store that breaks is remembered in `broken`: the callers are Tune's callbacks, whose exceptions Tune takes for a
    trial's; the engine stops the study and raises it.
    """

    def __init__(
        self,
        log: Log,
        writer: EntryWriter,
        listeners: Sequence[Listener],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives the time of each entry, in seconds."""
        self.log = log
        self.broken: ParetuneError | None = None
        self._writer, self._clock = writer, clock
        self._listeners = list(listeners)
        self._told = log.position

    def add_listener(self, listener: Listener) -> None:
        """From now on, tell this one too."""
        self._listeners.append(listener)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given so that it could restore it, which is never done here."""
        return {}

    def event(self, kind: EventKind, trial: int | None = None, **fields: Any) -> None:
        """Record an event; `fields` are those of records.Event."""
        self._record(Event(position=self.log.position, kind=kind, time_s=self._clock(), trial=trial, **fields))

    def suggested(self, suggestion: Suggestion) -> None:
        self.event("suggested", suggestion.id, suggestion=suggestion)

    def started(self, trial: int, attempt: int, checkpoint: str | None, *, reason: str | None = None) -> None:
        """Record that an attempt began; `reason` is what became of the worker of the one before."""
        self.event("started", trial, attempt=attempt, reason=reason, details={"checkpoint": checkpoint})

    def restarted(self, message: Restarted) -> None:
        """Record that an attempt began on new workers, how many they are, and what became of those before."""
        details = {"checkpoint": message.checkpoint, "workers": message.workers}
        self.event("started", message.trial, attempt=message.attempt, reason=message.reason, details=details)

    def straggling(self, message: Straggling) -> None:
        """Record that a rank is slower than the others."""
        much = "much longer than" if message.times is None else f"{message.times:.1f} times as long as"
        reason = f"rank {message.rank} takes {much} the others"
        self.event("straggling", message.trial, attempt=message.attempt, reason=reason)

    def reported(self, message: Reported) -> None:
        self._record(
            Report(
                position=self.log.position,
                trial=message.trial,
                attempt=message.attempt,
                step=message.step,
                resource=message.resource,
                time_s=self._clock(),
                metrics=message.metrics,
                worker_seconds=message.worker_seconds,
                checkpoint=message.checkpoint,
            )
        )

    def ended(self, message: Ended) -> None:
        """Record a trial's end and have it committed at once."""
        trial = self.log.trials[message.trial]
        metrics = message.metrics if message.metrics is not None else trial.metrics
        details: Mapping[str, Any] = {} if message.traceback is None else {"traceback": message.traceback}
        self.event(
            message.status,
            message.trial,
            attempt=message.attempt,
            metrics=dict(metrics),
            reason=message.reason,
            details=details,
        )
        self._writer.hurry()

    def flush(self) -> None:
        """Wait until everything recorded so far is committed, and tell the listeners."""
        try:
            self._writer.flush()
        except ParetuneError as error:
            self.broken = self.broken or error
        self.tell()

    def tell(self) -> None:
        """Tell the listeners of the entries that were committed since the last time."""
        committed = min(self._writer.committed, self.log.position)
        news, self._told = self.log.entries[self._told : committed], max(self._told, committed)
        for entry in news:
            for listener in self._listeners:
                listener.on_entry(entry)

    def _record(self, entry: Entry) -> None:
        if self.broken is not None:
            return
        try:
            self._writer.append(entry)
        except ParetuneError as error:
            self.broken = error
            return
        self.log.append(entry)
