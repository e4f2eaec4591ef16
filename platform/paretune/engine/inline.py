"""A one-worker trial runs in the trial actor itself: the training loop in a thread, the actor in step with it."""

from __future__ import annotations

import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import torch

from paretune.engine import _seam, boundary, checkpoints, loop, standstill
from paretune.engine.messages import Ended, Message, Outcome, Reported, Setup, Task
from paretune.errors import StandstillError, TrialStopped
from paretune.layouts import assembled
from paretune.records import Metrics

if TYPE_CHECKING:
    from ray.data import DataIterator
    from ray.train import Checkpoint


class InlineRun:
    """One attempt at one trial. `advance` lets the loop go on to its next report, `stop` ends it at the present one."""

    def __init__(self, setup: Setup, train: loop.TrainFunction, task: Task, patience: standstill.Patience) -> None:
        self._setup, self._train, self._task, self._patience = setup, train, task, patience
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._decisions: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True: go on
        self._shards: dict[str, DataIterator] = {}
        self._waiting = False
        self._step, self._checkpoint = task.step, task.checkpoint
        self._saved: list[tuple[str, Metrics]] = []
        self._diverged: tuple[str, dict[str, float]] | None = None
        self._thread = threading.Thread(target=self._main, name=f"trial-{task.trial}", daemon=True)
        self._clock = time.monotonic()
        self._thread.start()

    def advance(self) -> Message:
        """Go on from the last report and wait for the next message.

        Raises:
            StandstillError: there is none; the loop's thread is left where it hangs.
        """
        if self._waiting:
            self._waiting = False
            self._decisions.put(True)
        began, limit_s = time.monotonic(), self._patience.limit_s
        try:
            message = self._messages.get(timeout=limit_s if math.isfinite(limit_s) else None)
        except queue.Empty:
            raise self._standstill(limit_s) from None
        self._patience.took(time.monotonic() - began)
        self._waiting = isinstance(message, Reported)
        return message

    def stop(self) -> None:
        """End the loop where it stands; returns when it has ended."""
        self._decisions.put(False)
        self._thread.join()

    def _standstill(self, seconds: float) -> StandstillError:
        assert self._thread.ident is not None
        why, found = standstill.told([0], [], seconds), {0: standstill.stacks(self._thread.ident)}
        name = f"{self._task.trial:05d}-{self._task.attempt}.txt"
        place = standstill.keep(self._setup.folder, name, why, found, 1)
        return StandstillError(f"{why}; see {place}\n{standstill.short(found, [0])}")

    # -- in the loop's thread ----------------------------------------------------------------------------------------

    def _main(self) -> None:
        config = assembled(self._setup.constants, self._task.config)
        _ensure_process_group()
        identity = _seam.Identity(self._setup.study, self._task.trial, self._setup.folder)
        with _seam.inline(self, identity):
            ended = loop.run(self._train, config, seed=self._task.seed, tell=self._ended)
        self._messages.put(ended)

    def _ended(self, outcome: Outcome) -> Ended:
        trial, attempt = self._task.trial, self._task.attempt
        if self._diverged is not None:
            why, metrics = self._diverged
            return Ended(trial=trial, attempt=attempt, status="diverged", reason=why, metrics=metrics)
        if outcome.reason is None and self._step == self._task.inherited:
            outcome = loop.SILENT
        return Ended(
            trial=trial,
            attempt=attempt,
            status=outcome.status,
            reason=outcome.reason,
            traceback=outcome.traceback,
        )

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Behind `ray.train.report`: hand over, then wait for the decision."""
        numbers, why = boundary.accept(metrics, self._setup.objectives, self._setup.resource)
        resource = boundary.resource(numbers, self._step + 1, self._setup.resource)
        missing = boundary.unsaved(checkpoint or self._checkpoint, resource, self._setup.saved_by)
        if missing is not None:
            raise missing
        if why is not None:
            self._diverged = (f"{why} at report {self._step + 1}", numbers)
            raise TrialStopped
        trial, attempt, self._step = self._task.trial, self._task.attempt, self._step + 1
        if checkpoint is not None:
            self._checkpoint = checkpoints.save(
                checkpoint, self._setup.folder, trial=trial, attempt=attempt, step=self._step
            )
            self._saved.append((self._checkpoint, numbers))
        now = time.monotonic()
        self._messages.put(
            Reported(
                trial=trial,
                attempt=attempt,
                step=self._step,
                resource=resource,
                metrics=numbers,
                worker_seconds=now - self._clock,
                checkpoint=self._checkpoint if checkpoint is not None else None,
            )
        )
        go_on = self._decisions.get()
        self._clock = time.monotonic()
        if not go_on:
            raise TrialStopped

    def get_checkpoint(self) -> Checkpoint | None:
        """Behind `ray.train.get_checkpoint`."""
        return checkpoints.open_checkpoint(self._checkpoint, self._setup.folder) if self._checkpoint else None

    def dataset_shard(self, name: str) -> DataIterator:
        """Behind `ray.train.get_dataset_shard`: the whole dataset."""
        from paretune.engine import data  # imports Ray Data, which few studies need

        if name not in self._shards:
            (self._shards[name],) = data.check(name, self._setup.ingest).shards(name, [data.node()])
        return self._shards[name]

    def saved(self) -> list[tuple[Checkpoint, Metrics]]:
        """Behind `ray.train.get_all_reported_checkpoints`: what this attempt has reported."""
        return checkpoints.remaining(self._saved, self._setup.folder)


def _ensure_process_group() -> None:
    """A torch.distributed world of one, as a Ray Train worker has it, without a port or a network.

    It stays for the life of the process: making one takes 1 ms, tearing it down 10.
    """
    if torch.distributed.is_available() and not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()  # type: ignore[attr-defined]  # public, but not in __all__
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
