"""Who wants to hear what happens in a study: progress displays, exporters of metrics."""

from __future__ import annotations

from typing import Protocol

from paretune.log import Log
from paretune.records import Entry
from paretune.study import StudySpec


class Listener(Protocol):
    """Called by the engine in the driver's thread; must be quick and must not raise."""

    def on_start(self, spec: StudySpec, log: Log) -> None:
        """The study begins or goes on; `log` stays live, so its state may be read later as well."""

    def on_entry(self, entry: Entry) -> None:
        """An entry was recorded and appended to the log."""

    def on_end(self) -> None:
        """The study is over, whichever way."""
