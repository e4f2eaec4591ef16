"""Which runs there are to make, and their making: seeds outermost, so that whenever it stops all peers have as many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.optimizers.harness import peers, records
from benchmarks.optimizers.harness.client import Client, PeerError
from benchmarks.optimizers.harness.play import play
from benchmarks.optimizers.spaces import BadConfigError
from benchmarks.optimizers.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`keep_trials` writes every trial beside the results (large; for a closer look, not for the repository)."""

    results: Path
    pending: int = 1
    workers: int = 1
    timeout_s: float = 300.0
    minutes: float = float("inf")
    keep_trials: bool = False

    @property
    def mode(self) -> str:
        return "sequential" if self.pending == 1 else f"pending{self.pending}"


@dataclass(frozen=True, slots=True)
class Job:
    """All tasks of one peer and one seed: they share an adapter process, which takes seconds to start."""

    peer: peers.Peer
    seed: int
    tasks: tuple[Task, ...]


def jobs(labels: Sequence[str], tasks: Sequence[tuple[str, Task]], seeds: Sequence[int]) -> Iterator[Job]:
    """Every (seed, peer) with the tasks, given as (group, task), of the groups that the peer serves."""
    for seed in seeds:
        for label in labels:
            peer = peers.find(label)
            yield Job(peer, seed, tuple(task for group, task in tasks if group in peer.groups))


def run(pending_jobs: Iterator[Job], settings: Settings, *, say: Callable[[str], None] = print) -> None:
    """Make the runs that are not in the results yet; stops taking new ones after `minutes`."""
    lock, until = threading.Lock(), time.monotonic() + 60 * settings.minutes

    def work() -> None:
        while time.monotonic() < until:
            with lock:
                job = next(pending_jobs, None)
            if job is None:
                return
            _job(job, settings, until, say)

    threads = [threading.Thread(target=work) for _ in range(settings.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _job(job: Job, settings: Settings, until: float, say: Callable[[str], None]) -> None:
    path = records.file(settings.results, settings.mode, job.peer.name)
    made = records.done(path)
    todo = [task for task in job.tasks if (task.name, job.seed) not in made]
    while todo and time.monotonic() < until:
        with Client(job.peer, timeout_s=settings.timeout_s) as client:
            while todo and time.monotonic() < until:
                if not _one(client, todo.pop(0), job, settings, say):
                    break  # a broken adapter is started anew for the tasks that are left


def _one(client: Client, task: Task, job: Job, settings: Settings, say: Callable[[str], None]) -> bool:
    """Make one run; False when it broke."""
    path = records.file(settings.results, settings.mode, job.peer.name)
    where = f"{settings.mode} {job.peer.name} {task.name} {job.seed}"
    began = time.monotonic()
    try:
        version = client.start(task, seed=job.seed, pending=settings.pending)
        made = play(client, task, seed=job.seed, pending=settings.pending)
    except (PeerError, BadConfigError) as error:
        records.append(settings.results / "errors.jsonl", {"run": where, "error": str(error)})
        say(f"{where}: FAILED: {error}")
        return False
    line = records.record(made, task, seed=job.seed, version=peers.version(job.peer, version))
    records.append(path, line)
    if settings.keep_trials:
        kept = {"task": task.name, "seed": job.seed, "trials": records.trials(made)}
        records.append(path.with_suffix(".trials.jsonl"), kept)
    last = line["best"][-1][1] if line["best"] else None
    cpu_s = sum(made.cpu_s)
    say(f"{where}: {last} after {line['trials']} trials; {cpu_s:.1f} CPU s, {time.monotonic() - began:.1f} s")
    return True
