"""Ray's private names by which a process learns that it is to end soon: SIGTERM, or its node is drained.

tests/unit/test_gang.py says so when they move.
"""

from __future__ import annotations

import signal
import threading

import ray
from ray._private.state import state
from ray.train.v2._internal.execution.callback import WorkerCallback
from ray.train.v2._internal.execution.context import get_train_context

_SIGTERM = "its process was sent SIGTERM"

_terminated = threading.Event()


def heed_sigterm() -> None:
    """SIGTERM, which would end this process at once, is a notice from now on; called by its main thread."""
    signal.signal(signal.SIGTERM, lambda number, frame: _terminated.set())


class SigtermIsANotice(WorkerCallback):
    """A callback of a Ray Train run: its workers heed SIGTERM.

    Python lets only the main thread of a process say so; in a worker this is called by it.
    """

    def after_init_train_context(self) -> None:
        heed_sigterm()


def to_worker() -> str | None:
    """Why this worker of a Ray Train run is to end soon; None when nobody has said so."""
    if _terminated.is_set():
        return _SIGTERM
    return "a node of the gang is drained" if get_train_context().preemption_context.preemption_info else None


def to_actor() -> str | None:
    """Why this actor is to end soon; None when nobody has said so."""
    if _terminated.is_set():
        return _SIGTERM
    drained = state.get_draining_nodes()
    return "its node is drained" if ray.get_runtime_context().get_node_id() in drained else None
