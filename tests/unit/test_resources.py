"""What a cluster can place."""

from __future__ import annotations

from typing import Any

import pytest

from paretune.engine.resources import Node, backend, concurrent_trials, gpus_per_worker
from paretune.errors import ResourceError
from paretune.settings import TrainSettings

CPUS = [Node(4, 0), Node(2, 0)]
GPUS = [Node(16, 4), Node(16, 4)]


@pytest.mark.parametrize(
    ("settings", "nodes", "gpus", "expected"),
    [
        ({"workers": 1}, CPUS, 0, 6),
        ({"workers": 2}, CPUS, 0, 3),
        ({"workers": 4}, CPUS, 0, 1),
        ({"workers": 1, "cpus": 3.0}, CPUS, 0, 1),  # the second node's two CPUs hold none
        ({"workers": 1, "cpus": 0.5}, CPUS, 0, 12),
        ({"workers": 2}, GPUS, 1, 4),
        ({"workers": 1}, GPUS, 0.25, 32),
        ({"workers": 2}, GPUS, 0.5, 8),
        ({"workers": 1}, GPUS, 0.4, 16),  # twice on each GPU: what is left of two holds none
        ({"workers": 1}, GPUS, 0.7, 8),
        ({"workers": 1}, GPUS, 3, 2),
        ({"workers": 1, "cpus": 8.0}, GPUS, 1, 4),
        ({"workers": [1, 2]}, CPUS, 0, 3),  # by the most there may be
        ({"workers": [4, 8]}, CPUS, 0, 1),  # six of them
    ],
)
def test_trials_at_a_time(settings: dict[str, Any], nodes: list[Node], gpus: float, expected: int) -> None:
    assert concurrent_trials(TrainSettings(**settings), nodes, gpus=gpus) == expected


def test_what_does_not_fit_is_refused_with_what_was_asked_and_what_there_is() -> None:
    with pytest.raises(ResourceError) as caught:
        concurrent_trials(TrainSettings(workers=4, cpus=2.0), CPUS, gpus=0)
    assert "4 workers of 2 CPU each cannot be placed, the cluster has 6 CPU and 0 GPU on 2 node(s)" in str(caught.value)
    assert "at most 3 such workers fit" in str(caught.value)


def test_ray_data_has_what_it_reads_with_beside_every_trial() -> None:
    trials = {cpus: concurrent_trials(TrainSettings(workers=2), CPUS, gpus=0, data_cpus=cpus) for cpus in (0, 1, 2, 4)}
    assert trials == {0: 3, 1: 2, 2: 1, 4: 1}
    with pytest.raises(ResourceError, match="leave none of the cluster's 6 CPU to Ray Data, which needs 5"):
        concurrent_trials(TrainSettings(workers=2), CPUS, gpus=0, data_cpus=5)


@pytest.mark.parametrize(("gpus", "expected"), [(0, "gloo"), (0.5, "gloo"), (1, "nccl"), (2, "nccl")])
def test_workers_that_share_a_gpu_exchange_by_gloo(gpus: float, expected: str) -> None:
    assert backend(gpus) == expected


def test_more_than_one_gpu_is_a_whole_number_of_them() -> None:
    assert TrainSettings(gpus=2).gpus == 2
    with pytest.raises(ValueError, match=r"whole number, or a fraction of one GPU, got 1\.5"):
        TrainSettings(gpus=1.5)


def test_gpus_are_used_where_every_concurrent_worker_can_have_one() -> None:
    assert gpus_per_worker(TrainSettings(workers=2), GPUS, concurrency=4) == 1
    assert gpus_per_worker(TrainSettings(workers=2), GPUS, concurrency=5) == 0
    assert gpus_per_worker(TrainSettings(workers=1), CPUS, concurrency=1) == 0
    assert gpus_per_worker(TrainSettings(workers=2, gpus=0.5), CPUS, concurrency=1) == 0.5
