"""kill -9 at random moments: the driver, a trial actor, a worker of a gang; each time the study is resumed.

PARETUNE_FAULT_ROUNDS kills (2 unless set; `make test-faults` does 20), PARETUNE_FAULT_SEED chooses the moments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ray_head import Head, ray_head

import paretune as pt
from paretune import store
from paretune.log import Log
from paretune.records import Event

ROUNDS = int(os.environ.get("PARETUNE_FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("PARETUNE_FAULT_SEED", "0"))
TARGETS = {"driver": (), "trial actor": ("ResourceTrainable", "TrialActor"), "gang worker": ("RayTrainWorker",)}

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with ray_head(token="t" * 32, num_cpus=4) as running:
        yield running


class Study:
    """A study whose driver is killed and started again until it is done."""

    def __init__(self, location: Path, name: str, cluster: Head, *, workers: int, options: Sequence[str] = ()) -> None:
        self.location, self.name, self.cluster, self.workers = str(location), name, cluster, workers
        self.options = options
        self.driver: subprocess.Popen[bytes] | None = None
        self.seen: dict[int, dict[str, float]] = {}

    def start(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("driver.py")), self.location, "--name", self.name]
        options = ["--workers", str(self.workers), "--trials", "6", "--sleep-s", "0.3", *self.options]
        environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.cluster.token}
        self.driver = subprocess.Popen([*command, *options, "--address", self.cluster.gcs_address], env=environment)

    def running(self) -> bool:
        return self.driver is not None and self.driver.poll() is None

    def log(self) -> Log:
        return store.read(self.location, self.name).log if store.exists(self.location, self.name) else Log()

    def kill(self, target: str, rng: random.Random) -> bool:
        """Kill one process of that kind; False when there was none."""
        if target == "driver":
            assert self.driver is not None
            self.driver.kill()
            self.driver.wait()
            return True
        victims = self.cluster.workers(*TARGETS[target])
        if victims:
            rng.choice(victims).kill()
        return bool(victims)

    def check(self) -> None:
        """What was completed stays completed, with the same metrics."""
        completed = {t.id: dict(t.metrics) for t in self.log().ended if t.status == "completed"}
        for trial, metrics in self.seen.items():
            assert completed.get(trial) == metrics, f"trial {trial} was completed and is no more what it was"
        self.seen = completed


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_lost_and_the_trajectory_is_the_undisturbed_one(tmp_path: Path, cluster: Head, workers: int) -> None:
    rng = random.Random(SEED * 2 + workers)
    undisturbed = Study(tmp_path, "undisturbed", cluster, workers=workers)
    undisturbed.start()
    assert undisturbed.driver is not None
    assert undisturbed.driver.wait() == 0
    expected = [dict(trial.config) for trial in undisturbed.log().trials.values()]
    assert len(expected) == 6
    targets = [target for target in TARGETS if workers > 1 or target != "gang worker"]
    rounds, studies = 0, 0
    while rounds < (ROUNDS + 1) // 2:
        study = Study(tmp_path, f"disturbed-{studies}", cluster, workers=workers)
        studies += 1
        study.start()
        while rounds < (ROUNDS + 1) // 2:
            _wait_until_busy(study)
            time.sleep(rng.uniform(0.0, 3.0))
            if not study.running():
                break
            target = rng.choice(targets)
            if study.kill(target, rng):
                rounds += 1
                print(f"round {rounds}: killed a {target} of {study.name}, {len(study.seen)} trials were completed")
            study.check()
            if not study.running():
                study.start()
        while study.driver is None or study.driver.wait() != 0:
            study.start()
        _check_final(study, expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_paused_and_promoted_around_two_killed_drivers_replays(
    tmp_path: Path, cluster: Head, workers: int
) -> None:
    """Two trials at a time, rungs at epochs 1 and 2 of 4."""
    scheduler = json.dumps({"name": "asha", "kind": "promote", "reduction_factor": 2})
    options = ["--trials", "10", "--concurrency", "2", "--scheduler", scheduler]
    study = Study(tmp_path, "promoting", cluster, workers=workers, options=options)
    for _ in range(2):
        study.start()
        _wait_until_busy(study)
        _wait_until_busy(study)
        study.kill("driver", random.Random(SEED))
        study.check()
    while study.driver is None or study.driver.wait() != 0:
        study.start()
    found = pt.load(study.name, store=tmp_path)
    assert found.replay().difference is None
    assert sum(isinstance(entry, Event) and entry.kind == "opened" for entry in found.log.entries) >= 2
    assert any(isinstance(entry, Event) and entry.kind == "promoted" for entry in found.log.entries)
    assert {trial.status for trial in found.trials} == {"completed", "stopped"}
    for trial in found.trials:
        assert [report.metrics["counted"] for report in trial.reports] == [r.resource for r in trial.reports]


def _wait_until_busy(study: Study) -> None:
    """Until a report arrived that was not there before, or the study is over."""
    before = study.log().position
    while study.running() and study.log().position <= before:
        time.sleep(0.1)


def _check_final(study: Study, expected: list[dict[str, object]]) -> None:
    study.check()
    trials = study.log().trials
    assert [dict(trial.config) for trial in trials.values()] == expected
    assert [trial.status for trial in trials.values()] == ["completed"] * len(expected)
    for trial in trials.values():
        assert trial.metrics["epoch"] == 4
        assert trial.metrics["counted"] == 4, "epochs were counted twice or not at all in the checkpoint"
        assert [report.step for report in trial.reports] == list(range(1, len(trial.reports) + 1))
