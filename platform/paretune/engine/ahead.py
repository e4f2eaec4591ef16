"""Suggestions prepared while trials run, so that a free worker need not wait for one. Needs no Ray.

Whoever computes suggestions, the brain or the virtual clock, asks what to compute next and hands in what came out; a
free worker takes the oldest. Each is conditioned on all that is pending when it is begun, those prepared before it
among them: that is what it records, and so a log replays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from paretune.log import Log
from paretune.records import Suggestion

_SHARE = 8
"""One suggestion is prepared for each so many workers. A prepared one knows nothing of the results that come before it
is used; with an eighth, that is little beside what it cannot know because it is still under way. Making them anew
whenever results come would keep a processor busy all the time, and be in vain as a rule: results come with workers
that are free."""


@dataclass(frozen=True, slots=True)
class Next:
    """The suggestion to compute now: its number, and those that were prepared before it."""

    number: int
    prepared: Sequence[Suggestion]


class Ahead:
    """The suggestions that wait for a worker. One is computed at a time."""

    def __init__(self, *, depth: int) -> None:
        """Prepare up to `depth` of them."""
        self._depth = depth
        self._prepared: deque[Suggestion] = deque()

    def next(self, log: Log, *, room: int, wanted: bool) -> Next | None:
        """What to compute, None while there are enough.

        `room` is how many trials may be suggested by now (see `Course.room`), `wanted` says that a worker is free.
        """
        ready = len(self._prepared)
        if ready >= min(room, max(self._depth, int(wanted))):
            return None
        return Next(max(log.trials, default=-1) + 1 + ready, list(self._prepared))

    def computed(self, suggestion: Suggestion) -> None:
        """Take in what came out."""
        self._prepared.append(suggestion)

    def take(self) -> Suggestion | None:
        """The oldest one, which is to be recorded before anything else is asked here; None when none is ready."""
        return self._prepared.popleft() if self._prepared else None


def depth(concurrency: int) -> int:
    """How many suggestions to prepare: none where a suggestion shall know the result before it."""
    return 0 if concurrency == 1 else max(1, concurrency // _SHARE)
