"""The same simulated cluster for searches that are not ours: they are asked and told (adapters/_serve.py).

`workers` train side by side and keep their checkpoints: a configuration that is asked for again goes on from where it
was, and costs nothing up to there.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.fidelity.run import Report, Run
from benchmarks.fidelity.tasks import Trained, key
from benchmarks.optimizers.harness.client import Client, PeerError
from benchmarks.optimizers.harness.play import Conversation
from benchmarks.optimizers.spaces import Config

_PATIENCE = 1000
"""How often in a row a search may ask for what costs no time, or for nothing while nothing runs."""


@dataclass(slots=True)
class _Job:
    number: int
    config: Config
    trained: Trained
    epoch: int  # to be reported next
    until: int


def start(client: Client, run: Run) -> str:
    """Tell an adapter what it is to search; returns its library's version."""
    answer = client.call(
        "start",
        space=run.task.space.to_data(),
        objectives=run.task.objectives,
        epochs=run.task.epochs,
        workers=run.workers,
        seed=run.seed,
        options=dict(client.peer.options),
    )
    return str(answer["version"])


def search(conversation: Conversation, run: Run) -> Iterator[Report]:
    """Lead a search to the end of the run's time; its reports as they come. Raises PeerError, BadConfigError."""
    cluster = _Cluster(conversation, run)
    while True:
        cluster.fill()
        report = cluster.step()
        if report is None:
            return
        yield report


class _Cluster:
    def __init__(self, conversation: Conversation, run: Run) -> None:
        self._conversation, self._run = conversation, run
        self._now_s = 0.0
        self._queue: list[tuple[float, int, _Job]] = []  # by when each comes to its next epoch
        self._order = itertools.count()
        self._epochs: dict[str, int] = {}  # how far each configuration was trained
        self._idle = 0

    def fill(self) -> None:
        """Give every free worker a job."""
        while len(self._queue) < self._run.workers:
            asked = self._conversation.call("ask")
            if asked["id"] is None:
                if self._queue:
                    return
                self._waste("nothing, while nothing runs")
                continue
            self._start(asked)

    def step(self) -> Report | None:
        """Whatever comes next; None at the end of the time."""
        self._now_s, _, job = heapq.heappop(self._queue)
        if self._now_s > self._run.end_s:
            return None
        text = key(job.config)
        self._epochs[text] = max(self._epochs.get(text, 0), job.epoch)
        report = Report(self._now_s, job.config, job.epoch)
        values = self._seen(job)
        told = {"id": job.number, "epoch": job.epoch, "values": values, "seconds": job.trained.epoch_s * job.epoch}
        goes_on = values is not None and self._conversation.call("report", **told)["go_on"]
        if goes_on and job.epoch < job.until:
            job.epoch += 1
            self._schedule(job, job.trained.epoch_s)
        else:
            self._conversation.call("tell", **told)
        return report

    def _start(self, asked: dict[str, Any]) -> None:
        config = self._run.task.space.clean(asked["config"])
        done, until = self._epochs.get(key(config), 0), int(asked["until"])
        if done < until:
            self._idle = 0
        else:
            self._waste("what was trained as far before")
        job = _Job(asked["id"], config, self._run.trained(config), min(done + 1, until), until)
        self._schedule(job, job.trained.epoch_s if done < until else 0.0)

    def _schedule(self, job: _Job, seconds: float) -> None:
        heapq.heappush(self._queue, (self._now_s + seconds, next(self._order), job))

    def _seen(self, job: _Job) -> list[float] | None:
        values: list[float] = job.trained.seen_em[job.epoch - 1].tolist()
        return values if all(map(math.isfinite, values)) else None

    def _waste(self, what: str) -> None:
        self._idle += 1
        if self._idle > _PATIENCE:
            raise PeerError(f"ask: {_PATIENCE} times in a row it asked for {what}")
