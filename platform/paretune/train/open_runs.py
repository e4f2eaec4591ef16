"""Runs that hold process groups, for whoever runs one training loop after another: what they know of slow workers, and
closing what is left open."""

from __future__ import annotations

import warnings
from typing import Protocol

from paretune.errors import CheckpointError


class Measured(Protocol):
    """What a run measures of itself, as far as it matters here."""

    @property
    def stragglers(self) -> tuple[int, ...]: ...


class Closable(Protocol):
    """A run, without importing what it is made of."""

    @property
    def stats(self) -> Measured: ...

    def close(self) -> None: ...


_open: list[Closable] = []  # held: a run that nobody names any more has its groups still


def opened(run: Closable) -> None:
    """Remember a run until it is closed."""
    _open.append(run)


def closed(run: Closable) -> bool:
    """Forget a run; whether it was open."""
    if run not in _open:
        return False
    _open.remove(run)
    return True


def stragglers() -> tuple[int, ...]:
    """The workers that are slower than others by the measure of an open run, which knows who waits for whom."""
    return tuple(sorted({rank for run in _open for rank in run.stats.stragglers}))


def close_runs() -> None:
    """Close what a training loop has left open, as one that is stopped in a report does.

    The loop is over: a checkpoint that could not be written in its background is a warning.
    """
    while _open:
        try:
            _open[-1].close()
        except CheckpointError as error:
            warnings.warn(f"a training loop did not wait for its checkpoint: {error}", stacklevel=2)
