"""The Ray a study runs on: one that runs already, one at an address, or a local one started for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray.job_config import JobConfig

from paretune.engine.resources import Node
from paretune.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Session:
    """A connection to a Ray cluster."""

    address: str
    namespace: str
    nodes: tuple[Node, ...]


@contextmanager
def connect(address: str | None, *, job: JobConfig) -> Iterator[Session]:
    """Connect to Ray; what is started here is stopped here.

    In this order: a Ray this process is connected to already, `address`, RAY_ADDRESS (set inside a submitted job), a
    new local Ray. `job` says in the dashboard what the driver is about.

    Raises:
        ClusterError: nothing answers at the address.
    """
    if ray.is_initialized():
        yield _session()
        return
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        _init(address, job)
    except (ConnectionError, ValueError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"address: no Ray cluster could be reached at {address or 'local'}: {line}",
            hint="start one with `ray start --head`, or leave --address out to use a local Ray",
        ) from None
    try:
        yield _session()
    finally:
        ray.shutdown()


def _init(address: str | None, job: JobConfig) -> None:
    if address is None:
        # Ray's default, nice 15, starves its workers beside any other busy process
        os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, job_config=job)


def _session() -> Session:
    context = ray.get_runtime_context()
    return Session(address=context.gcs_address, namespace=context.namespace, nodes=alive_nodes())


def alive_nodes() -> tuple[Node, ...]:
    """The nodes of the cluster that this process is connected to."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return tuple(Node(resources.get("CPU", 0.0), resources.get("GPU", 0.0)) for resources in alive)
