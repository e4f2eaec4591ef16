"""Whether a cluster has grown since a gang's workers came up."""

from __future__ import annotations

import asyncio
import math
import time

from ray.exceptions import RayError

from paretune.engine.resources import worker_slots
from paretune.engine.session import alive_nodes

LOOK_S = 10.0
"""How often to look."""

SETTLED_S = 25.0
"""How long a node must have been there: Ray's own count of what may be used is up to 20 s old."""


class Room:
    """For workers of so many CPUs and GPUs each."""

    def __init__(self, cpus: float, gpus: float) -> None:
        self._cpus, self._gpus = cpus, gpus
        self._slots: int | None = None
        self._next_look, self._grown_since = 0.0, math.inf

    async def has_grown(self) -> bool:
        """Whether the nodes can hold more such workers, for a while now, than when this was first asked.

        What else runs there does not count: whoever gets what has come is Ray Train's business.
        """
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_S
        try:
            slots = await asyncio.to_thread(self._count)
        except RayError:
            return False  # the head is busy, or away for a moment
        self._slots = slots if self._slots is None else min(slots, self._slots)
        self._grown_since = min(self._grown_since, time.monotonic()) if slots > self._slots else math.inf
        return time.monotonic() - self._grown_since >= SETTLED_S

    def _count(self) -> int:
        return worker_slots(alive_nodes(), cpus=self._cpus, gpus=self._gpus)
