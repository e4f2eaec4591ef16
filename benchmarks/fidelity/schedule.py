"""Which runs there are to make, and their making: seeds outermost, so that whenever it stops all arms have as many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import paretune as pt
from benchmarks.fidelity import cluster, judge, ours
from benchmarks.fidelity.peers import ONE, PEERS, SEVERAL
from benchmarks.fidelity.run import Run
from benchmarks.fidelity.tasks import CurveTask, find
from benchmarks.optimizers.harness import peers, records
from benchmarks.optimizers.harness.client import Client, PeerError
from benchmarks.optimizers.spaces import BadConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`workers` are the simulated ones, `processes` the real ones; `minutes` after which no run begins."""

    results: Path
    workers: int = 8
    processes: int = 1
    timeout_s: float = 600.0
    minutes: float = float("inf")

    @property
    def mode(self) -> str:
        return f"workers{self.workers}"

    def file(self, arm: str) -> Path:
        return records.file(self.results, self.mode, arm)


@dataclass(frozen=True, slots=True)
class Job:
    """Tasks of one arm and one seed, by their names: a peer's process, which takes seconds to start, serves all."""

    arm: str
    seed: int
    tasks: tuple[str, ...]


def jobs(arms: Sequence[str], tasks: Sequence[CurveTask], seeds: Sequence[int], settings: Settings) -> Iterator[Job]:
    """What is not in the results yet, without what an arm does not serve."""
    made = {arm: records.done(settings.file(arm)) for arm in arms}
    for seed in seeds:
        for arm in arms:
            todo = tuple(task.name for task in tasks if _serves(arm, task) and (task.name, seed) not in made[arm])
            if todo:
                yield Job(arm, seed, todo)


def known(arm: str) -> bool:
    """Whether there is such an arm, and its environment."""
    return "+" in arm or (arm in PEERS and PEERS[arm].python.exists())


def _serves(arm: str, task: CurveTask) -> bool:
    return "+" in arm or (ONE if task.objectives == 1 else SEVERAL) in PEERS[arm].groups


def run(todo: Sequence[Job], settings: Settings, *, say: Callable[[str], None] = print) -> None:
    """Make the runs."""
    until = time.time() + 60 * settings.minutes
    if settings.processes == 1:
        for job in todo:
            make(job, settings, until, say)
        return
    with ProcessPoolExecutor(settings.processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(make, job, settings, until, say) for job in todo]):
            future.result()


def make(job: Job, settings: Settings, until: float, say: Callable[[str], None]) -> None:
    """Make the runs of one job, unless it is later than `until` (seconds since the epoch)."""
    left = [task for name in job.tasks for task in find(name)]
    while left and time.time() < until:
        with ExitStack() as stack:
            client = None
            if job.arm in PEERS:
                client = stack.enter_context(Client(PEERS[job.arm], timeout_s=settings.timeout_s))
            while left and time.time() < until:
                if not _one(left.pop(0), job, client, settings, say):
                    break  # a broken adapter is started anew for the tasks that are left


def _one(task: CurveTask, job: Job, client: Client | None, settings: Settings, say: Callable[[str], None]) -> bool:
    """Make one run; False when it broke."""
    made, began_s = Run(task, job.seed, settings.workers), time.monotonic()
    where = f"{settings.mode} {job.arm} {task.name} {job.seed}"
    try:
        if client is None:
            version = f"{pt.__version__} {peers.checkout_commit()}"
            reports = ours.search(job.arm, made)
        else:
            version = cluster.start(client, made)
            reports = list(cluster.search(client, made))
    except (PeerError, BadConfigError, pt.ParetuneError) as error:
        records.append(settings.results / "errors.jsonl", {"run": where, "error": str(error)})
        say(f"{where}: FAILED: {error}")
        return False
    line = judge.line(made, reports, version=version, wall_s=time.monotonic() - began_s)
    records.append(settings.file(job.arm), line)
    last = line["best"][-1][1:] if line["best"] else None
    say(f"{where}: {last}, {line['configs']} configurations, {line['whole']} whole; {line['wall_s']} s")
    return True
