"""Gangs on two raylets, one of which goes and comes back."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import loops
import pytest
import ray
from ray.cluster_utils import Cluster
from ray_head import free_ports

import paretune as pt
from paretune import store
from paretune.records import Event, Report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # Ray leaves a socket to the collector
]

SPACE = {"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)}
OBJECTIVES = {"error": "minimize", "cost": "minimize"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with two CPUs."""
    ray.shutdown()
    head = {"num_cpus": 2, "include_dashboard": True, "dashboard_port": free_ports(1)[0]}
    running = Cluster(initialize_head=True, head_node_args=head)  # type: ignore[no-untyped-call]
    ray.init(address=running.address, log_to_driver=False, logging_level="ERROR")
    yield running
    ray.shutdown()
    running.shutdown()  # type: ignore[no-untyped-call]


def add_node(cluster: Cluster) -> Any:
    """One CPU, and no memory for the trial actor, which would be lost with the node."""
    return cluster.add_node(num_cpus=1, memory=0)  # type: ignore[no-untyped-call]


class Searching(threading.Thread):
    """A study of one long trial, in the background."""

    def __init__(self, location: Path, *, epochs: int, **settings: Any) -> None:
        super().__init__(daemon=True)
        self.location, self.epochs, self.settings = location, epochs, settings
        self.start()

    def run(self) -> None:
        self.study = pt.search(
            loops.resuming, space=SPACE, objectives=OBJECTIVES, algorithm="random", trials=1, seed=3,
            epochs=self.epochs, config={"sleep_s": 1.0}, store=self.location, name="study", progress=False,
            **self.settings,
        )  # fmt: skip

    def reports(self) -> list[Report]:
        if not store.exists(str(self.location), "study"):
            return []
        trials = store.read(str(self.location), "study").log.trials
        return trials[0].reports if trials else []

    def wait_for(self, what: Callable[[list[Report]], bool]) -> None:
        while not what(self.reports()):
            assert self.is_alive()
            time.sleep(0.5)

    def finished(self) -> pt.Study:
        self.join()
        (trial,) = self.study.trials
        assert trial.status == "completed"
        assert list(dict.fromkeys(report.step for report in trial.reports)) == list(range(1, self.epochs + 1))
        return self.study


def restarts(study: pt.Study) -> list[Event]:
    return [e for e in study.log.entries if isinstance(e, Event) and e.kind == "started" and e.attempt > 0]


def test_a_gang_goes_on_with_fewer_workers_and_grows_when_the_node_is_back(tmp_path: Path, cluster: Cluster) -> None:
    second = add_node(cluster)
    searching = Searching(
        tmp_path, epochs=90, workers=(2, 3), layout={"shard": pt.Choice(["fsdp"]), "precision": "bf16"}
    )
    searching.wait_for(lambda reports: len(reports) >= 3)
    cluster.remove_node(second, allow_graceful=False)
    searching.wait_for(lambda reports: reports[-1].metrics["world"] == 2)
    second = add_node(cluster)
    study = searching.finished()
    cluster.remove_node(second)
    worlds = [report.metrics["world"] for report in study.trials[0].reports]
    assert [world for world, before in zip(worlds, [0, *worlds], strict=False) if world != before] == [3, 2, 3]
    assert study.trials[0].config["layout.shard"] == "fsdp"
    fewer, more = restarts(study)
    assert str(fewer.reason).endswith(" died")
    assert fewer.details["workers"] == 2
    assert more.reason == "the cluster has grown, there may be room for more than 2 workers"
    assert more.details["workers"] == 3


def test_a_gang_of_a_fixed_size_waits_for_the_node(tmp_path: Path, cluster: Cluster) -> None:
    second = add_node(cluster)
    searching = Searching(tmp_path, epochs=12, workers=3)
    searching.wait_for(lambda reports: len(reports) >= 3)
    cluster.remove_node(second, allow_graceful=False)
    time.sleep(20)
    before = len(searching.reports())
    time.sleep(5)
    assert len(searching.reports()) == before, "two workers do not go on without the third"
    second = add_node(cluster)
    study = searching.finished()
    cluster.remove_node(second)
    assert [start.details["workers"] for start in restarts(study)] == [3]


def test_a_gang_leaves_a_node_that_is_drained_and_loses_nothing(tmp_path: Path, cluster: Cluster) -> None:
    second = add_node(cluster)
    searching = Searching(tmp_path, epochs=30, workers=(2, 3), retries=0)
    searching.wait_for(lambda reports: len(reports) >= 3)
    drain(cluster, second)
    study = searching.finished()
    cluster.remove_node(second)
    (again,) = restarts(study)
    assert str(again.reason).endswith(": a node of the gang is drained")
    assert again.details["workers"] == 2
    assert len(study.trials[0].reports) == 30, "no epoch was trained twice"


def test_a_trial_of_one_worker_leaves_a_node_that_is_drained_and_loses_nothing(
    tmp_path: Path, cluster: Cluster
) -> None:
    first = cluster.add_node(num_cpus=3)  # type: ignore[no-untyped-call]
    searching = Searching(tmp_path, epochs=20, workers=1, cpus=3, retries=0)
    searching.wait_for(lambda reports: len(reports) >= 3)
    second = cluster.add_node(num_cpus=3)  # type: ignore[no-untyped-call]
    drain(cluster, first)
    study = searching.finished()
    cluster.remove_node(first)
    cluster.remove_node(second)
    (again,) = restarts(study)
    assert again.reason == "its node is drained"
    assert len(study.trials[0].reports) == 20, "no epoch was trained twice"


def drain(cluster: Cluster, node: Any) -> None:
    """The notice of a preemption in two minutes."""
    command = [str(Path(sys.executable).parent / "ray"), "drain-node", "--address", cluster.address]
    command += ["--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    subprocess.run([*command, "--reason-message", "test", "--deadline-remaining-seconds", "120"], check=True)
