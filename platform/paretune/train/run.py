"""Training under a layout: one object whose steps are the same on one worker and on many.

    with train.prepare(model, lambda p: torch.optim.AdamW(p, lr=1e-3), layout, loss=cross_entropy) as run:
        for x, y in batches:
            loss = run.step((x, y))  # the mean over all workers' samples, the same number on each
        run.flush()

The loss of a batch is weighted by its samples throughout: gradients of unequal batches on several workers, and of
windows of accumulation that end early, are those of all their samples at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from paretune.errors import CheckpointError
from paretune.train import gradients, open_runs, replicas, sharded
from paretune.train.assembly import assemble
from paretune.train.device import training_device
from paretune.train.health import Health
from paretune.train.judge import RULES, Rules
from paretune.train.layers import Loss, as_module
from paretune.train.layout import Layout
from paretune.train.memory import PeakMemory
from paretune.train.mesh import open_mesh
from paretune.train.passes import Batch, Passes
from paretune.train.precision import LossScale
from paretune.train.saver import Saver
from paretune.train.stats import Meter, Stats
from paretune.train.totals import Adding, Mine, Totals

if TYPE_CHECKING:
    from ray.train import Checkpoint


def prepare(
    model: nn.Module | Sequence[nn.Module],
    optimizer_fn: Callable[[list[nn.Parameter]], Optimizer],
    layout: Layout | None = None,
    *,
    loss: Loss,
    scheduler_fn: Callable[[Optimizer], LRScheduler] | None = None,
    cuts: Sequence[int] | None = None,
    example: Tensor | None = None,
    tokens_per_sample: int | None = None,
    watch: Rules | None = RULES,
    representation: nn.Module | None = None,
) -> Run:
    """Put a model on the workers of a layout; every worker calls it with a model of the same shape.

    All start with the first worker's weights. A pipeline needs the model's layers (a Sequential, a list, or a model
    with a method `stages()` that returns them; each takes the one tensor the one before returns) and is cut where
    `cuts` says (the first layer of each stage), or at balanced measured cost on `example`, inputs (B, ...).

    `loss(outputs, targets)` is the mean over the samples. `optimizer_fn` gets the parameters that lie on this worker;
    what `scheduler_fn` makes of the optimizer is stepped after each update.

    `watch` ends a training that cannot come to anything, by the rules in judge.py; None: never. With `representation`,
    a part of the model whose outputs (..., D) tell samples apart, it also ends one in which they no longer do.

    Raises:
        SpecError: the layout is for another number of workers, or this model does not go with it.
    """
    return Run(
        as_module(model),
        optimizer_fn,
        layout or Layout(),
        loss=loss,
        scheduler_fn=scheduler_fn,
        cuts=cuts,
        example=example,
        tokens_per_sample=tokens_per_sample,
        watch=watch,
        representation=representation,
    )


class Run:
    """A model in training; made by `prepare`. Every worker makes the same calls in the same order."""

    def __init__(
        self,
        model: nn.Module,
        optimizer_fn: Callable[[list[nn.Parameter]], Optimizer],
        layout: Layout,
        *,
        loss: Loss,
        scheduler_fn: Callable[[Optimizer], LRScheduler] | None,
        cuts: Sequence[int] | None,
        example: Tensor | None,
        tokens_per_sample: int | None,
        watch: Rules | None,
        representation: nn.Module | None,
    ) -> None:
        self.layout, self.device = layout, training_device()
        memory = PeakMemory(self.device)
        self.mesh = open_mesh(layout, self.device)
        self.parts = assemble(model, layout, self.mesh, self.device, cuts=cuts, example=example)
        trained = [parameter for parameter in self.parts.parameters.values() if parameter.requires_grad]
        self.optimizer = optimizer_fn(trained)
        self.scheduler = scheduler_fn(self.optimizer) if scheduler_fn is not None else None
        self.loss_scale = LossScale(layout.precision)
        self.updates = 0
        self.passes = Passes(self.parts, layout, self.mesh, loss=loss, device=self.device)
        self._unit = 0  # samples of a usual batch: gradients are sums over samples divided by it
        self._pending, self._window_samples = 0, 0
        self._memory = memory
        self._meter = Meter(tokens_per_sample=tokens_per_sample, copies=layout.data, memory=memory)
        self.health = Health(watch, representation)
        self._saver = Saver()
        open_runs.opened(self)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except CheckpointError as unsaved:
            if error is None:
                raise
            error.add_note(f"Nor could the last checkpoint be written: {unsaved}")

    @property
    def share(self) -> tuple[int, int]:
        """(k, n): this worker trains on the k-th of n shares of each batch; a pipeline's workers have the same one."""
        return self.mesh.replica, self.layout.data

    @property
    def stats(self) -> Stats:
        """What was measured since `prepare` or `restart_stats`."""
        return self._meter.read()

    def restart_stats(self) -> None:
        """Begin to measure anew, at an epoch's start, say."""
        self._meter.restart()

    @property
    def pending(self) -> int:
        """Steps whose gradients wait for the update."""
        return self._pending

    def step(self, batch: Batch) -> float:
        """Train on this worker's share of a batch; the mean loss of all workers' samples, before the update.

        Each `layout.accumulate`-th step updates the weights; `flush` does after an incomplete window.

        Raises:
            DivergedError, StarvedError: on all workers alike, as the watchers' rules say.
        """
        started_s = time.perf_counter()
        self.health.step_begins()
        x, y = self.passes.load(batch)
        if self._unit == 0:
            self._unit = self.passes.largest(len(x))
        self._pending += 1
        self._window_samples += len(x)
        update = self._pending == self.layout.accumulate
        begun: list[Adding] = []
        loss = self.passes.backward(
            x,
            y,
            factor=len(x) / self._unit * self.loss_scale.value,
            exchange=update,
            between=(lambda loss: begun.append(self._add_up(loss, len(x)))) if self.passes.alike else None,
        )
        totals = self._update(loss, len(x), begun) if update else (begun or [self._add_up(loss, len(x))])[0].totals()
        if not update:
            self.health.look(totals, None)
        self._meter.add(
            totals, step_s=time.perf_counter() - started_s, communication_s=self.passes.take_communication_s()
        )
        self.health.step_ends()
        return totals.loss

    def flush(self) -> None:
        """Update the weights with the gradients of an incomplete window of accumulation, if there is one.

        The end of an epoch, say; the watchers judge the steps so far, and raise as in `step`.
        """
        self.health.pause()
        if self._pending:
            self._update(None, 0, [])
        self.health.judge()

    def evaluate(self, batch: Batch, measure: Loss | None = None) -> float:
        """The mean of the loss, or of `measure(outputs, targets)`, over all workers' samples of a batch, untrained.

        In evaluation mode, with the first copy's buffers (BatchNorm statistics). Every worker takes part.
        """
        self.health.pause()
        x, y = self.passes.load(batch)
        self.passes.share_buffers()
        return self._add_up(self.passes.evaluate(x, y, measure), len(x)).totals().loss

    def save(self, path: str | Path, extra: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Write a checkpoint as the folder `path`, which all workers must reach: complete under its name, or not there.

        Weights, optimizer, scheduler, loss scale, each worker's random states, and `extra` (an epoch, the data's
        position), numbers, strings and tensors. `wait=False` returns when all that is copied in memory: it is written
        while the training goes on. The next save, `wait` and `close` wait for it, and raise what went wrong.

        Raises:
            SpecError: gradients wait for an update; `flush` first.
            DivergedError, StarvedError: as the watchers' rules say of the steps so far: what is saved is sound.
            CheckpointError: there is one of that name, or the workers do not reach the same folder: save through Ray
                Train then (`snapshot`). On all workers alike; nothing is left behind.
        """
        self._saver.save(self, Path(path), extra or {}, wait=wait)

    def wait(self) -> None:
        """Wait until the checkpoint is written that `save(wait=False)` has begun; raises as `save`."""
        self._saver.wait()

    def restore(self, path: str | Path) -> dict[str, Any]:
        """Go on from a checkpoint, saved under this layout (bit for bit) or another one; returns its `extra`.

        Raises:
            CheckpointError: on all workers alike, when it is incomplete, damaged, or of another model; nothing is
                changed then.
        """
        return sharded.read(self, Path(path))

    def restore_latest(self, folder: str | Path) -> tuple[Path, dict[str, Any]] | None:
        """Go on from the last of the checkpoints in `folder`, by name, that is complete; None: there is none."""
        return sharded.read_latest(self, Path(folder))

    @contextmanager
    def snapshot(self, extra: dict[str, Any] | None = None) -> Iterator[Checkpoint]:
        """Yield this worker's part of a checkpoint for Ray Train, which puts the parts together; report in the block.

        with run.snapshot({"epoch": epoch}) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)
        """
        with sharded.snapshot(self, extra or {}) as checkpoint:
            yield checkpoint

    def resume(self) -> dict[str, Any] | None:
        """Go on from the checkpoint that Ray Train hands this trial; its `extra`, None if there is none.

        Raises:
            CheckpointError: as `restore`.
        """
        return sharded.resume(self)

    def close(self) -> None:
        """Wait for what is being saved, give the process groups back; the run is over. Closing again does nothing.

        Raises:
            CheckpointError: the last checkpoint could not be written; the run is closed nevertheless.
        """
        if open_runs.closed(self):
            self.parts.undo()
            self.health.close()
            self.passes.close()
            for module in self.parts.modules.values():
                replicas.let_go(module)
            self.parts.modules.clear()
            try:
                self._saver.close()
            finally:
                self.mesh.close()

    # -- one step --------------------------------------------------------------------------------------------------

    def _add_up(self, loss: Tensor, samples: int, *, squared_norm: Tensor | None = None) -> Adding:
        """Begin to add up what the workers have to say of a step; of its times, what they know by now."""
        times = self.passes.take_times()
        mine = Mine(
            loss=loss,
            samples=samples,
            window_samples=self._window_samples,
            squared_norm=squared_norm,
            representation=self.health.take_representation(),
            wall_s=times.wall_s,
            busy_s=times.busy_s,
            own_s=times.own_s,
            waited_s=self.health.take_waited_s(),
            peak_bytes=self._memory.seen_bytes(),
        )
        return Adding(self.mesh, mine)

    def _update(self, loss: Tensor | None, samples: int, begun: list[Adding]) -> Totals:
        """Divide by the window's samples and the loss scale, clip, and let the optimizer go on.

        `loss` and `samples` of the window's last step; None: it was counted before. `begun`: its sums, if under way.
        """
        self.passes.exchange()
        needs_norm = self.layout.clip_norm is not None or self.loss_scale.active
        measure_norm = needs_norm or self.health.wants_norm
        squared_norm = self.passes.squared_norm() if measure_norm else None
        if begun:
            totals = begun[0].totals()
        else:
            counted = torch.zeros((), device=self.device) if loss is None else loss
            totals = self._add_up(counted, samples, squared_norm=squared_norm).totals()
        if squared_norm is not None and self.passes.alike:
            totals = replace(totals, squared_norm=float(squared_norm))
        factor = self.layout.data * self._unit / totals.window_samples / self.loss_scale.value
        norm = math.sqrt(totals.squared_norm) * factor
        finite = math.isfinite(norm)
        if loss is not None:  # a loss scale handles infinite norms itself
            self.health.look(totals, norm if measure_norm and (finite or not self.loss_scale.active) else None)
        if measure_norm:
            self._meter.grad_norm = norm
        if self.loss_scale.judge(finite):
            if self.layout.clip_norm is not None:
                factor *= min(1.0, self.layout.clip_norm / (norm + 1e-6))  # as torch.nn.utils.clip_grad_norm_
            gradients.multiply(gradients.gradients(self.parts.parameters.values()), factor)
            self.optimizer.step()
            self.updates += 1
            if self.scheduler is not None:
                self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._pending, self._window_samples = 0, 0
        return totals
