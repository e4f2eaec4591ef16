"""Where trials are judged: at resources that grow geometrically (Jamieson and Talwalkar, 2016)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from paretune.errors import SchedulerError
from paretune.schedulers._base import Training


def whole(training: Training, name: str) -> float:
    """The resource of a whole training; raises SchedulerError where nobody said."""
    if training.length is None:
        raise SchedulerError(
            f"scheduler: {name}: must know how long a whole training is, got neither epochs nor max_resource",
            hint="train: {epochs: 27}, or scheduler: {name: " + name + ", resource: tokens, max_resource: 1e9}",
        )
    return training.length


def levels(grace: float, factor: int, length: float) -> list[float]:
    """grace, grace * factor, grace * factor² ... as far as they lie before the end of a whole training.

    By multiplication, which is exact for whole numbers; a rung at the very end would cut no training short.
    """
    found, level = [], grace
    while level < length:
        found.append(level)
        level *= factor
    return found


def reached(rungs: Sequence[float], resource: float) -> int:
    """The index of the highest rung at or below a resource; -1 before the first one."""
    return bisect_right(rungs, resource) - 1
