"""Schedulers: pure decisions about trials, rebuilt from the log by feeding it the recorded reports in order."""

from __future__ import annotations

from typing import Literal, Protocol

from paretune.log import Trial
from paretune.records import Report

Decision = Literal["continue", "stop"]


class Scheduler(Protocol):
    """Judges every report of every trial."""

    def on_report(self, trial: Trial, report: Report) -> Decision:
        """Whether the trial goes on after this report."""


class RunToCompletion:
    """Every trial runs to its end."""

    def on_report(self, trial: Trial, report: Report) -> Decision:
        return "continue"
