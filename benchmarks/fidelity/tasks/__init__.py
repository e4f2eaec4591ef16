"""Learning curves: recorded ones (`recorded`) and families in closed form (`analytic`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from benchmarks.fidelity.tasks import analytic, recorded
from benchmarks.fidelity.tasks._base import CurveTask, Trained, key

__all__ = ["CurveTask", "Trained", "find", "key", "tasks"]


@cache
def tasks() -> Mapping[str, CurveTask]:
    """All tasks by their names."""
    return {task.name: task for task in (*recorded.tasks(), *analytic.tasks())}


def find(names: str) -> list[CurveTask]:
    """The tasks named, comma-separated; `all` is all of them. Raises ValueError for an unknown one."""
    if names == "all":
        return list(tasks().values())
    unknown = [name for name in names.split(",") if name not in tasks()]
    if unknown:
        raise ValueError(f"tasks: must be among {', '.join(tasks())}, got {', '.join(unknown)}")
    return [tasks()[name] for name in names.split(",")]
