"""The task collection: each module's `tasks()` is a group."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from benchmarks.optimizers.tasks._base import Earlier, Outcome, Task

__all__ = ["CORE", "GROUPS", "Earlier", "Outcome", "Task", "find", "group"]

GROUPS = (
    "ml",
    "synthetic",
    "noisy",
    "conditional",
    "many_dimensions",
    "multi_objective",
    "constrained",
    "transfer",
)

CORE = (
    "penalised_diabetes",
    "network_digits",
    "levy5",
    "ackley6_mixed",
    "hartmann4_noisy",
    "families",
    "wavy",
    "network_size",
    "zdt2",
)
"""For libraries too slow for the whole collection: one or two tasks of a group each, chosen before any was run."""


@cache
def group(name: str) -> dict[str, Task]:
    """The tasks of a group by their names."""
    if name not in GROUPS:
        raise ValueError(f"group: must be one of {', '.join(GROUPS)}, got {name!r}")
    return {task.name: task for task in import_module(f"{__name__}.{name}").tasks()}


def find(name: str) -> Task:
    """A task by its name alone; names are unique in the whole collection."""
    for each in GROUPS:
        if name in group(each):
            return group(each)[name]
    raise ValueError(f"task: no task is called {name!r}")
