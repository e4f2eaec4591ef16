"""A thread beside the training loop of a rank: it answers the gang when the loop itself does not.

A loop that hangs in a collective has released the interpreter, so that this thread can still say where it hangs, and
end the process for Ray Train to start another. It also passes on that the process is to end soon.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import ray

from paretune.engine import _notice, standstill

NOTICE_S = 1.0
"""How often to look whether the process has been told to end."""


def start(gang: Any, rank: int, group: str) -> None:
    """Called by the thread that trains; lives as long as the process, or the gang."""
    training = threading.get_ident()
    threading.Thread(target=_serve, args=(gang, rank, group, training), name="companion", daemon=True).start()


def _serve(gang: Any, rank: int, group: str, training: int) -> None:
    told = False
    try:
        while True:
            asked = gang.companion.remote(rank, group)
            while not ray.wait([asked], timeout=NOTICE_S)[0]:
                why = None if told else _notice.to_worker()
                if why is not None:
                    ray.get(gang.leave.remote(group, f"rank {rank}: {why}"))
                    told = True
            wish = ray.get(asked)
            if wish == "stacks":
                ray.get(gang.stacks.remote(rank, group, standstill.stacks(training)))
            elif wish == "exit":
                os._exit(1)
    except ray.exceptions.RayError:
        return  # the gang is gone, and its workers with it
