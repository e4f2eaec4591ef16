"""What a cluster can place: how many trials at a time, counted before anything starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paretune.errors import ResourceError
from paretune.settings import TrainSettings


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


def backend(gpus: float) -> Literal["gloo", "nccl"]:
    """What a gang's workers exchange gradients with: NCCL refuses two on one GPU, gloo goes by the host."""
    return "nccl" if gpus >= 1 else "gloo"


def concurrent_trials(train: TrainSettings, nodes: Sequence[Node], *, gpus: float, data_cpus: float = 0.0) -> int:
    """How many trials fit at a time, each with all its workers; one where only its fewest do.

    Trials that share less than they could have would not give it up for one that waits. Each has `data_cpus` left for
    Ray Data to read with.

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
    cpus = sum(node.cpus for node in nodes)
    if train.min_workers * train.cpus + data_cpus > cpus + 1e-9:
        raise ResourceError(
            f"train: {train.min_workers} workers of {train.cpus:g} CPU each leave none of the cluster's "
            f"{cpus:g} CPU to Ray Data, which needs {data_cpus:g} to read the datasets",
            hint="lower train.workers, train.cpus or train.data_cpus, or use a larger cluster",
        )
    beside_data = math.floor(cpus / (train.workers * train.cpus + data_cpus) + 1e-9)
    return max(1, min(slots // train.workers, beside_data))


def worker_slots(nodes: Sequence[Node], *, cpus: float, gpus: float) -> int:
    """How many workers of so many CPUs and GPUs each the nodes hold."""
    return sum(_slots(node, cpus, gpus) for node in nodes)


def _slots(node: Node, cpus: float, gpus: float) -> int:
    by_cpu = math.floor(node.cpus / cpus + 1e-9)
    return min(by_cpu, _on_gpus(math.floor(node.gpus), gpus)) if gpus else by_cpu


def _on_gpus(count: int, gpus: float) -> int:
    """Workers of `gpus` each on whole GPUs: a fraction lies on one GPU, 0.4 fits twice on each."""
    return count // round(gpus) if gpus >= 1 else count * math.floor(1 / gpus + 1e-9)
