"""A writer that is killed at any moment loses nothing it had flushed, and leaves nothing half done."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from store_samples import PROVENANCE, spec
from store_victim import entry_at

from paretune import store
from paretune.records import Entry, Report

VICTIM = Path(__file__).with_name("store_victim.py")


def killed_run(location: str, run: int, *, after_s: float) -> tuple[int, int]:
    """Let a process write and kill it `after_s` seconds after it opened; where it began, and what it had flushed."""
    process = subprocess.Popen([sys.executable, str(VICTIM), location, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, begin = process.stdout.readline().split()
    assert word == "opened"
    timer = threading.Timer(after_s, process.kill)
    timer.start()
    told = process.stdout.read().splitlines(keepends=True)
    timer.join()
    process.wait()
    process.stdout.close()
    flushed = [int(line.split()[1]) for line in told if line.endswith("\n")]
    return int(begin), max(flushed, default=int(begin))


def run_of(entry: Entry) -> int:
    return int(entry.metrics["run"] if isinstance(entry, Report) else entry.reason)


def prove(location: str, *, rounds: int) -> None:
    store.create(spec(location), PROVENANCE)
    rng = random.Random(0)
    begins, flushes = [], [0]
    for run in range(rounds):
        begin, flushed = killed_run(location, run, after_s=rng.uniform(0.0, 0.4))
        log = store.read(location, "cnn").log
        assert flushes[-1] <= begin <= flushed <= log.position
        begins.append(begin)
        flushes.append(flushed)
        assert log.entries == [entry_at(i, run_of(entry)) for i, entry in enumerate(log.entries)]
        # Each run's entries begin where it began: it neither rewrote nor skipped what the runs before had stored.
        writers = [run_of(entry) for entry in log.entries]
        assert writers == sorted(writers)
        for earlier, start in enumerate(begins):
            assert all(writer >= earlier for writer in writers[start:])
            assert all(writer < earlier for writer in writers[:start])
    assert flushes[-1] > rounds


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    prove(str(tmp_path), rounds=6)


@pytest.mark.slow
def test_many_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    prove(str(tmp_path), rounds=60)
