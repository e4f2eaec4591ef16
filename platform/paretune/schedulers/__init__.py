"""Schedulers, one file each: the file's name is the scheduler's, its one public class the scheduler.

They decide which trials go on. Decisions are pure: a scheduler is told of every entry of the log in its order and keeps
nothing else, so that the log rebuilds it and replays every decision. Adding a scheduler is adding a file; `names`,
`create` and the conformance suite find it there.
"""

from __future__ import annotations

from paretune.schedulers._base import Decision, Scheduler, Training, follow, told
from paretune.schedulers._discovery import check, create, names, settings
from paretune.schedulers._rung import rung, usable
from paretune.schedulers._settings import PBT, Settings

__all__ = [
    "PBT",
    "Decision",
    "Scheduler",
    "Settings",
    "Training",
    "check",
    "create",
    "follow",
    "names",
    "rung",
    "settings",
    "told",
    "usable",
]
