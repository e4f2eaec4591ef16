"""What may befall the workers of a gang, on a real local Ray.

PARETUNE_FAULT_ROUNDS ranks are killed at random (4 unless set; `make test-faults` does 20), PARETUNE_FAULT_SEED says
which, and when.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import loops
import psutil
import pytest

import paretune as pt
from paretune import store
from paretune.log import Trial
from paretune.records import Event

KILLS = int(os.environ.get("PARETUNE_FAULT_ROUNDS", "4"))
SEED = int(os.environ.get("PARETUNE_FAULT_SEED", "0"))

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3000)]

SPACE = {"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)}
OBJECTIVES = {"error": "minimize", "cost": "minimize"}


def starts(study: pt.Study, trial: int) -> list[Event]:
    """The events that say so of a trial's attempts."""
    return [e for e in study.log.entries if isinstance(e, Event) and e.kind == "started" and e.trial == trial]


@pytest.mark.usefixtures("free_afterwards")
def test_ranks_that_hang_are_found_and_started_anew(tmp_path: Path) -> None:
    """Rank 1 sleeps, rank 0 waits for it in a collective of gloo's; both say where."""
    study = pt.search(
        loops.hangs_once, space=SPACE, objectives=OBJECTIVES, algorithm="random", trials=2, seed=3, workers=2, epochs=4,
        config={"marker": str(tmp_path / "hung")}, hang_s=4.0, store=tmp_path, name="study", progress=False,
    )  # fmt: skip
    assert [trial.status for trial in study.trials] == ["completed", "completed"]
    assert [report.metrics["counted"] for report in study.trials[0].reports] == [1, 2, 3, 4]
    first, second = starts(study, 0)
    assert first.reason is None
    assert second.details["checkpoint"] == "00000/0-2"
    said, _, place = str(second.reason).partition("; see ")
    assert said.startswith("rank 0 and 1 have neither reported nor returned for ")
    stacks = Path(place).read_text()
    assert "original(3600)" in stacks.partition("==== rank 1")[2]
    assert "in all_reduce" in stacks.partition("==== rank 1")[0]


class Killer(threading.Thread):
    """Signals a rank of a running study at a random moment after each new report, until it has done so often enough."""

    def __init__(self, location: Path, name: str, *, kills: int, seed: int, signal: int = signal.SIGKILL) -> None:
        super().__init__(daemon=True)
        self.location, self.name_, self.kills, self.killed, self.signal = str(location), name, kills, 0, signal
        self.rng, self.over = random.Random(seed), threading.Event()

    def run(self) -> None:
        seen = 0
        while self.killed < self.kills and not self.over.wait(0.1):
            reports = self.reports()
            if reports <= seen:
                continue
            time.sleep(self.rng.uniform(0.0, 1.0))
            with suppress(psutil.NoSuchProcess):  # processes of Ray's come and go
                family = psutil.Process().children(recursive=True)
                ranks = [process for process in family if "RayTrainWorker" in " ".join(process.cmdline())]
                if ranks:
                    self.rng.choice(sorted(ranks, key=lambda process: process.pid)).send_signal(self.signal)
                    self.killed, seen = self.killed + 1, self.reports()

    def reports(self) -> int:
        if not store.exists(self.location, self.name_):
            return 0
        return sum(len(trial.reports) for trial in store.read(self.location, self.name_).log.trials.values())


@pytest.mark.usefixtures("free_afterwards")
def test_no_trial_is_lost_to_killed_ranks_and_every_loss_curve_goes_on_exactly(tmp_path: Path) -> None:
    def searched(name: str) -> pt.Study:
        return pt.search(
            loops.resuming, space=SPACE, objectives=OBJECTIVES, algorithm="gp", trials=6, seed=3, workers=2, epochs=16,
            scheduler="none", config={"sleep_s": 0.5}, retries=KILLS, store=tmp_path, name=name, progress=False,
        )  # fmt: skip

    undisturbed = searched("undisturbed")
    killer = Killer(tmp_path, "disturbed", kills=KILLS, seed=SEED)
    killer.start()
    began = time.monotonic()
    disturbed = searched("disturbed")
    killer.over.set()
    took_s, attempts = time.monotonic() - began, sum(trial.attempt + 1 for trial in disturbed.trials)
    print(f"{killer.killed} kills, {attempts} attempts at {len(disturbed.trials)} trials, {took_s:.0f} s")
    assert killer.killed == KILLS
    assert [trial.status for trial in disturbed.trials] == ["completed"] * 6
    assert [curves(trial) for trial in disturbed.trials] == [curves(trial) for trial in undisturbed.trials]
    assert [dict(trial.config) for trial in disturbed.trials] == [dict(trial.config) for trial in undisturbed.trials]
    assert disturbed.replay().difference is None


@pytest.mark.usefixtures("free_afterwards")
def test_a_rank_that_is_told_to_end_loses_nothing_and_it_is_no_retry(tmp_path: Path) -> None:
    terminator = Killer(tmp_path, "study", kills=1, seed=SEED, signal=signal.SIGTERM)
    terminator.start()
    study = pt.search(
        loops.resuming, space=SPACE, objectives=OBJECTIVES, algorithm="random", trials=1, seed=3, workers=2, epochs=12,
        config={"sleep_s": 1.0}, retries=0, store=tmp_path, name="study", progress=False,
    )  # fmt: skip
    terminator.over.set()
    (trial,) = study.trials
    assert trial.status == "completed"
    assert [report.step for report in trial.reports] == list(range(1, 13)), "no epoch was trained twice"
    _, again = starts(study, 0)
    assert str(again.reason).endswith(": its process was sent SIGTERM")


def curves(trial: Trial) -> dict[int, dict[str, float]]:
    """What was reported at each step; a step that was taken twice must have come to the same."""
    taken: dict[int, dict[str, float]] = {}
    for report in trial.reports:
        assert taken.setdefault(report.step, dict(report.metrics)) == dict(report.metrics)
    return taken
