"""When the ranks of a gang are taken to hang, and what their threads were doing then.

<study>/hangs/<trial>-<attempt>.txt       every thread of every rank of a gang that came to a standstill
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paretune import store

FLOOR_S = 1800.0
"""What any report may take, where the spec does not say: PyTorch gives a collective as long before it is given up."""

FACTOR = 10.0
"""How much longer than the longest so far a report may take: configurations of one study differ in cost."""

ANSWER_S = 10.0
"""How long ranks may take to answer."""

_SILENT = "no answer: a call holds the interpreter, or the process is gone\n"

_FRAMES = 12
"""How many of a stack's innermost frames go into the store; the file has them all."""


class Patience:
    """How long a report may take: `hang_s` where it is given (0: for ever), or else by the longest one so far.

    Before the first report nothing is known of how long honest work takes, and there is no limit.
    """

    def __init__(self, hang_s: float | None) -> None:
        self._given_s, self._longest_s = hang_s, 0.0

    def took(self, seconds: float) -> None:
        """A report has come after so long."""
        self._longest_s = max(self._longest_s, seconds)

    @property
    def limit_s(self) -> float:
        if self._given_s is not None:
            return self._given_s or math.inf
        return max(FLOOR_S, FACTOR * self._longest_s) if self._longest_s else math.inf


class Enquiry:
    """The ranks of a gang are asked where they stand."""

    def __init__(self, world: int) -> None:
        self._found: dict[int, Stacks] = {}
        self._world, self._all = world, asyncio.Event()

    def wants(self, rank: int) -> bool:
        """Whether the rank has still to answer."""
        return rank not in self._found

    def answer(self, rank: int, stacks: Stacks) -> None:
        self._found[rank] = stacks
        if len(self._found) == self._world:
            self._all.set()

    async def answers(self) -> Mapping[int, Stacks]:
        """What the ranks have said, without those that take too long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all.wait(), ANSWER_S)
        return self._found


@dataclass(frozen=True, slots=True)
class Stacks:
    """Of one rank's process: the innermost frames of the thread that trains, and all threads in full."""

    training: str
    all: str


def stacks(training: int) -> Stacks:
    """What the threads of this process are doing.

    Python's own view: a thread in a collective, or in any other call that releases the interpreter, stands at the line
    that made the call. `training` is the training thread's identifier.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    short, full = "", []
    for ident, frame in sys._current_frames().items():
        lines = traceback.format_stack(frame)
        full.append(f"thread {names.get(ident, ident)}\n{''.join(lines)}")
        if ident == training:
            short = "".join(lines[-_FRAMES:])
    return Stacks(short, "\n".join(full))


def told(absent: Sequence[int], waiting: Sequence[int], seconds: float) -> str:
    """One line: who has not been heard of for so long, and who waits for them."""
    who = f"rank {_listed(absent)} {'has' if len(absent) == 1 else 'have'} neither reported nor returned"
    others = f", where rank {_listed(waiting)} {'waits' if len(waiting) == 1 else 'wait'}" if waiting else ""
    return f"{who} for {seconds:.0f} s{others}"


def short(found: Mapping[int, Stacks], absent: Sequence[int]) -> str:
    """Where the ranks that are absent stand."""
    return "\n".join(f"rank {rank}:\n{found[rank].training if rank in found else _SILENT}" for rank in absent)


def keep(folder: str, name: str, why: str, found: Mapping[int, Stacks], world: int) -> str:
    """Write everything to a file in the study's folder; returns where it lies."""
    parts = [f"==== rank {rank}\n\n{found[rank].all if rank in found else _SILENT}" for rank in range(world)]
    try:
        return store.keep_text(folder, "hangs", name, "\n".join([f"{why}\n", *parts]))
    except Exception as error:  # an object store's own kinds; whoever hangs is to be helped nevertheless
        return f"nowhere: {error}"


def _listed(ranks: Sequence[int]) -> str:
    return " and ".join(map(str, ranks))
