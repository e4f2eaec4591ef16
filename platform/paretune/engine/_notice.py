"""Ray Train's private names by which a worker learns that it is to end soon: SIGTERM, or its node is drained.

tests/unit/test_gang.py says so when they move.
"""

from __future__ import annotations

import signal
import threading

from ray.train.v2._internal.execution.callback import WorkerCallback
from ray.train.v2._internal.execution.context import get_train_context

_terminated = threading.Event()


class SigtermIsANotice(WorkerCallback):
    """A callback of a Ray Train run: SIGTERM, which would end a worker at once, is a notice from then on.

    Python lets only the main thread of a process say so; in a worker this is called by it.
    """

    def after_init_train_context(self) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: _terminated.set())


def notice() -> str | None:
    """Why this worker is to end soon; None when nobody has said so."""
    if _terminated.is_set():
        return "its process was sent SIGTERM"
    info = get_train_context().preemption_context.preemption_info
    return None if info is None else "a node of the gang is drained"
