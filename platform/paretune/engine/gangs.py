"""The gangs of a study: one per concurrent trial, all started at the beginning, all gone at the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from paretune.engine import _leftovers
from paretune.engine.gang import Gang
from paretune.engine.messages import Setup
from paretune.engine.session import Session

_CLOSE_S = 20.0
"""How long gangs may take to end before they are killed."""


@contextmanager
def running(setup: Setup, session: Session, *, concurrency: int) -> Iterator[list[str]]:
    """The gangs' names, as tasks carry them; none for one-worker trials."""
    if setup.workers == 1:
        yield []
        return
    run = uuid.uuid4().hex[:8]
    names = [f"gang-{setup.study}-{run}-{i}" for i in range(concurrency)]
    environment = {"RAY_ADDRESS": session.address, "RAY_CHDIR_TO_TRIAL_DIR": "0"}
    # beside the driver, whose node is the last to be lost; what asks for no CPU is placed anywhere if soft (Ray 2.60)
    here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Gang)
    gangs: list[Any] = [
        actor.options(name=name, max_concurrency=1000, runtime_env={"env_vars": environment}).remote(
            setup, name, session.namespace
        )
        for name in names
    ]
    try:
        yield [f"{name}@{session.namespace}" for name in names]
    finally:
        _close(gangs)


def _close(gangs: Sequence[Any]) -> None:
    """End the gangs, by force where they take too long, and wait until nothing is held by them any more."""
    owners = {_ask(gang.process.remote(), timeout_s=_CLOSE_S) for gang in gangs}
    closing = [gang.close.remote() for gang in gangs]
    ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S)
    for gang in gangs:
        ray.kill(gang)
    deadline = time.monotonic() + _CLOSE_S
    while not _freed(owners, by_force=time.monotonic() > deadline):
        time.sleep(0.05)


def _freed(owners: Collection[str | None], *, by_force: bool) -> bool:
    """Whether the runs that these processes started hold nothing; what lost ones hold is freed, or all of it."""
    left = [group for group in _leftovers.held() if group.lost or group.owner in owners]
    for group in left:
        if group.lost or by_force:
            group.remove()
    return by_force or not left


def _ask(reference: Any, *, timeout_s: float) -> Any:
    try:
        return ray.get(reference, timeout=timeout_s)
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
        return None  # a gang that does not answer is killed by the caller
