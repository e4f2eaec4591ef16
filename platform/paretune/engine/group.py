"""The group of workers that a gang has at present: whether they are to go, and where each of them stands.

It hears of its ranks by their companions, the threads beside the loops, which keep asking what is wished of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from paretune.engine import standstill
from paretune.engine.room import Room

PULSE_S = 5.0
"""How long a companion waits at most before it asks again."""

Wish = Literal["ask again", "stacks", "exit"]
"""What a companion is asked for."""


class Bell:
    """Wakes all who wait for it, each time it rings."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    async def heard(self) -> None:
        await self._rung.wait()


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a group of workers is lost; `counts` among the times that a trial may lose its workers."""

    reason: str
    traceback: str | None = None
    counts: bool = True


class Group:
    """So many workers in the placement group of that id (None: none have come up yet)."""

    def __init__(self, id: str | None, world: int, room: Room, bell: Bell) -> None:
        self.id, self.world = id, world
        self.loss: Loss | None = None  # they are given up
        self.leaving: Loss | None = None  # they are to go as soon as nothing is lost by it
        self._room, self._bell = room, bell
        self._enquiry: standstill.Enquiry | None = None

    def give_up(self, loss: Loss) -> None:
        """Have them end at once."""
        self.loss = loss
        self._bell.ring()

    def dismiss(self, why: str) -> None:
        """Have them go after the next report with a checkpoint, or trial; it is no loss that counts."""
        if self.leaving is None:
            self.leaving = Loss(why, counts=False)
            self._bell.ring()

    def replaced(self) -> Loss:
        """There are others now; why these are lost."""
        loss = self.loss or self.leaving or Loss("a worker died")
        self.give_up(loss)
        return loss

    async def might_be_larger(self) -> bool:
        """Whether the cluster has grown since they came up."""
        return await self._room.has_grown()

    async def wish(self, rank: int) -> Wish:
        """What a rank's companion is to do."""
        until = time.monotonic() + PULSE_S
        while (left_s := until - time.monotonic()) > 0:
            if self.loss is not None:
                return "exit"
            if self._enquiry is not None and self._enquiry.wants(rank):
                return "stacks"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.heard(), left_s)
        return "ask again"

    async def stacks(self) -> Mapping[int, standstill.Stacks]:
        """Where every rank stands, of those that answer."""
        enquiry = self._enquiry = self._enquiry or standstill.Enquiry(self.world)
        self._bell.ring()
        found = await enquiry.answers()
        self._enquiry = None
        return found

    def answer(self, rank: int, stacks: standstill.Stacks) -> None:
        """What the threads of a rank are doing, as it was asked for."""
        if self._enquiry is not None:
            self._enquiry.answer(rank, stacks)
