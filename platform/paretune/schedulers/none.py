"""No scheduler: every trial runs to its end."""

from __future__ import annotations

from paretune.records import Event, Report
from paretune.schedulers._base import Decision, Scheduler, Training
from paretune.schedulers._settings import Settings


class RunToCompletion(Scheduler):
    """Decides nothing."""

    rungs = ()

    def __init__(self, training: Training, settings: Settings) -> None: ...

    def on_report(self, report: Report) -> Decision:
        return "continue"

    def on_event(self, event: Event) -> None: ...

    def next_promotion(self, *, last: bool) -> int | None:
        return None
