"""The CNN on digits with `asha`, promoting, on four gangs of two: its driver is killed twice, the study replays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_head import Head, ray_head

import paretune as pt
from paretune import store
from paretune.records import Event

EPOCHS = 9
TRIALS = 12
KILLS = 2
GANGS = 4
WORKERS = 2
SPEC = Path(__file__).parents[2] / "search_spaces" / "cnn.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with ray_head(token="t" * 32, num_cpus=GANGS * WORKERS) as running:
        yield running


def paretune(*arguments: str, cluster: Head) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": cluster.token}
    command = [sys.executable, "-c", "from paretune.cli import main; raise SystemExit(main())", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def seen(location: Path) -> Counter[str]:
    """How many events of each kind are stored, and how many reports."""
    if not store.exists(str(location), "cnn"):
        return Counter()
    entries = store.read(str(location), "cnn").log.entries
    return Counter(entry.kind if isinstance(entry, Event) else "report" for entry in entries)


@pytest.mark.parametrize("algorithm", ["gp", "bohb"])
def test_a_study_of_promoted_trials_survives_its_driver_twice(tmp_path: Path, cluster: Head, algorithm: str) -> None:
    """`gp` promotes few: it trains every second trial whole, and pauses what is no longer expected to be among them."""
    run = ["run", str(SPEC), "--store", str(tmp_path), "--address", cluster.gcs_address, "--trials", str(TRIALS)]
    run += ["--concurrency", str(GANGS), "--set", f"train.workers={WORKERS}", "--set", f"train.epochs={EPOCHS}"]
    run += ["--set", f"search.algorithm={algorithm}", "--set", "search.scheduler={name: asha, kind: promote}"]
    for _ in range(KILLS):
        driver, before = paretune(*run, cluster=cluster), seen(tmp_path)
        while driver.poll() is None and not _well_under_way(before, seen(tmp_path)):
            time.sleep(0.2)
        over = driver.poll() is not None
        driver.kill()
        said, _ = driver.communicate()
        assert not over, said
    driver = paretune(*run, cluster=cluster)
    said, _ = driver.communicate()
    assert driver.returncode == 0, said

    study = pt.load("cnn", store=tmp_path)
    kinds = Counter(entry.kind for entry in study.log.entries if isinstance(entry, Event))
    assert kinds["opened"] == KILLS + 1
    assert kinds["paused"] > 0
    assert kinds["promoted"] > 0 or algorithm == "gp"
    assert {trial.status for trial in study.trials} == {"completed", "stopped"}
    assert len(study.trials) == TRIALS
    for trial in study.trials:
        steps = [report.resource for report in trial.reports]
        assert steps == [float(epoch) for epoch in range(1, len(steps) + 1)], "each epoch was trained once, in order"
        assert steps[-1] in (1, 3, EPOCHS)
    assert study.replay().difference is None
    replay = paretune("replay", "cnn", "--store", str(tmp_path), cluster=cluster)
    said, _ = replay.communicate()
    assert (replay.returncode, "no difference" in said) == (0, True), said


def _well_under_way(before: Counter[str], now: Counter[str]) -> bool:
    """Whether this driver has heard a few reports and seen a trial paused."""
    return now["report"] >= before["report"] + 6 and now["paused"] > before["paused"]
