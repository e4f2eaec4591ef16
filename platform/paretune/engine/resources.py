"""What a cluster can place: how many trials at a time, counted before anything starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from paretune.errors import ResourceError
from paretune.study import TrainSettings


@dataclass(frozen=True, slots=True)
class Node:
    """The resources of one node."""

    cpus: float
    gpus: float


def gpus_per_worker(train: TrainSettings, nodes: Sequence[Node], *, concurrency: int) -> float:
    """What `gpus: null` means here: one each where every concurrent trial's workers can have one, else none."""
    if train.gpus is not None:
        return train.gpus
    return 1.0 if sum(math.floor(node.gpus) for node in nodes) >= train.workers * concurrency else 0.0


def concurrent_trials(train: TrainSettings, nodes: Sequence[Node], *, gpus: float) -> int:
    """How many trials fit at a time, each with all its workers; one where only its fewest do.

    Trials that share less than they could have would not give it up for one that waits.

    Raises:
        ResourceError: not even one does.
    """
    slots = worker_slots(nodes, cpus=train.cpus, gpus=gpus)
    if slots < train.min_workers:
        each = f"{train.cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
        have = f"{sum(n.cpus for n in nodes):g} CPU and {sum(n.gpus for n in nodes):g} GPU on {len(nodes)} node(s)"
        raise ResourceError(
            f"train: workers: {train.min_workers} workers of {each} each cannot be placed, the cluster has {have}",
            hint=f"at most {slots} such workers fit: lower train.workers or train.cpus, or use a larger cluster",
        )
    return max(1, slots // train.workers)


def worker_slots(nodes: Sequence[Node], *, cpus: float, gpus: float) -> int:
    """How many workers of so many CPUs and GPUs each the nodes hold."""
    return sum(_slots(node, cpus, gpus) for node in nodes)


def _slots(node: Node, cpus: float, gpus: float) -> int:
    by_cpu = math.floor(node.cpus / cpus + 1e-9)
    return min(by_cpu, math.floor(node.gpus / gpus + 1e-9)) if gpus else by_cpu
