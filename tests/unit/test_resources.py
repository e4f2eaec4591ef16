"""What a cluster can place."""

from __future__ import annotations

from typing import Any

import pytest

from paretune.engine.resources import Node, concurrent_trials, gpus_per_worker
from paretune.errors import ResourceError
from paretune.study import TrainSettings

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


def test_gpus_are_used_where_every_concurrent_worker_can_have_one() -> None:
    assert gpus_per_worker(TrainSettings(workers=2), GPUS, concurrency=4) == 1
    assert gpus_per_worker(TrainSettings(workers=2), GPUS, concurrency=5) == 0
    assert gpus_per_worker(TrainSettings(workers=1), CPUS, concurrency=1) == 0
    assert gpus_per_worker(TrainSettings(workers=2, gpus=0.5), CPUS, concurrency=1) == 0.5
