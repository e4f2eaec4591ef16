"""Runs that hold process groups, so that whoever runs one training loop after another can close what is left open."""

from __future__ import annotations

import warnings
from typing import Protocol

from paretune.errors import CheckpointError


class Closable(Protocol):
    """A run, without importing what it is made of."""

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


def close_runs() -> None:
    """Close what a training loop has left open, as one that is stopped in a report does.

    The loop is over: a checkpoint that could not be written in its background is a warning.
    """
    while _open:
        try:
            _open[-1].close()
        except CheckpointError as error:
            warnings.warn(f"a training loop did not wait for its checkpoint: {error}", stacklevel=2)
