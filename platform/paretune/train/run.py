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
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from paretune.errors import SpecError
from paretune.train import gradients, open_runs, replicas, sharded
from paretune.train.assembly import assemble
from paretune.train.clock import Clock
from paretune.train.device import training_device
from paretune.train.layers import Loss, as_module
from paretune.train.layout import Layout
from paretune.train.memory import PeakMemory
from paretune.train.mesh import open_mesh
from paretune.train.pipeline import Pipeline
from paretune.train.precision import LossScale, autocast
from paretune.train.ranks import unwrap
from paretune.train.stats import Meter, Stats
from paretune.train.totals import Totals, add_up

if TYPE_CHECKING:
    from ray.train import Checkpoint

Batch = tuple[Tensor, Tensor]
"""Inputs (B, ...) and targets (B, ...)."""


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
) -> Run:
    """Put a model on the workers of a layout; every worker calls it with a model of the same shape.

    All start with the first worker's weights. A pipeline needs the model's layers (a Sequential, a list, or a model
    with a method `stages()` that returns them; each takes the one tensor the one before returns) and is cut where
    `cuts` says (the first layer of each stage), or at balanced measured cost on `example`, inputs (B, ...).

    `loss(outputs, targets)` is the mean over the samples. `optimizer_fn` gets the parameters that lie on this worker;
    what `scheduler_fn` makes of the optimizer is stepped after each update.

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
        self._loss = loss
        self._pipeline: Pipeline | None = None
        if self.mesh.pipeline is not None:
            self._pipeline = Pipeline(self.parts.modules, layout=layout, mesh=self.mesh, loss=loss, device=self.device)
        self._unit = 0  # samples of a usual batch: gradients are sums over samples divided by it
        self._pending, self._window_samples = 0, 0
        self._exchanged = False
        self._communication = Clock(self.device)
        self._memory = memory
        self._meter = Meter(tokens_per_sample=tokens_per_sample, memory=memory)
        open_runs.opened(self)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        """
        started_s = time.perf_counter()
        x, y = self._load(batch)
        for module in self.parts.modules.values():
            module.train()
        if self._unit == 0:
            self._unit = self._largest(len(x))
        update = self._pending + 1 == self.layout.accumulate
        factor = len(x) / self._unit * self.loss_scale.value
        loss = self._backward(x, y, factor=factor, exchange=update)
        self._pending += 1
        self._window_samples += len(x)
        if update:
            self._exchange()
        totals = self._totals(loss, len(x), update=update)
        if update:
            self._update(totals)
        self._meter.add(
            step_s=time.perf_counter() - started_s,
            samples=totals.samples,
            busy_s=totals.busy_s,
            wall_s=totals.wall_s,
            communication_s=self._communication.take_s() if self._explicit else None,
            peak_bytes=totals.peak_bytes,
        )
        return totals.loss

    def flush(self) -> None:
        """Update the weights with the gradients of an incomplete window of accumulation; none: do nothing."""
        if self._pending:
            self._exchange()
            self._update(self._totals(torch.zeros((), device=self.device), 0, update=True))

    def evaluate(self, batch: Batch, measure: Loss | None = None) -> float:
        """The mean of the loss, or of `measure(outputs, targets)`, over all workers' samples of a batch, untrained.

        In evaluation mode, with the first copy's buffers (BatchNorm statistics). Every worker takes part.
        """
        x, y = self._load(batch)
        self.share_buffers()
        totals = self._totals(self._untrained(x, y, measure or self._loss), len(x), update=False)
        return totals.loss

    def share_buffers(self) -> None:
        """Give every copy the first one's buffers."""
        if self.mesh.data is not None and self.parts.buffers:
            replicas.broadcast(self.parts.buffers.values(), self.mesh.data, device=self.device)

    def save(self, path: str | Path, extra: dict[str, Any] | None = None) -> None:
        """Write a checkpoint as the folder `path`, which all workers must reach: complete under its name, or not there.

        Weights, optimizer, scheduler, loss scale, each worker's random states, and `extra` (an epoch, the data's
        position), numbers, strings and tensors.

        Raises:
            SpecError: gradients wait for an update; `flush` first.
            CheckpointError: there is one of that name.
        """
        sharded.save(self, Path(path), extra or {})

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
        """Give the process groups back; the run is over. Closing again does nothing."""
        if open_runs.closed(self):
            self.parts.undo()
            self._pipeline = None
            self.parts.modules.clear()
            self.mesh.close()

    # -- one step --------------------------------------------------------------------------------------------------

    @property
    def _explicit(self) -> bool:
        return self.layout.shard == "none" and self.mesh.data is not None

    def _load(self, batch: Batch) -> Batch:
        x, y = batch
        if len(x) != len(y) or not len(x):
            raise SpecError(f"batch: must be as many inputs as targets, and some, got {len(x)} and {len(y)}")
        return x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def _largest(self, count: int) -> int:
        most = torch.tensor(count, device=self.device)
        if self.mesh.everyone is not None:
            dist.all_reduce(most, op=dist.ReduceOp.MAX, group=self.mesh.everyone)
        return int(most)

    def _backward(self, x: Tensor, y: Tensor, *, factor: float, exchange: bool) -> Tensor:
        """Add the gradients of `factor` x the mean loss; returns the mean loss where the last stage is."""
        if self._pipeline is not None:
            self._exchanged = not self._explicit
            return self._pipeline.backward(x, y, factor=factor)
        module = self.parts.modules[0]
        self._exchanged = exchange or self.layout.shard == "fsdp"
        with replicas.without_exchange(module, wait=not exchange):
            with autocast(self.layout.precision, self.device):
                loss = self._loss(module(x), y)
            (loss * factor).backward()
        return loss.detach().double()

    def _exchange(self) -> None:
        """Make the gradients of the window the same on all copies."""
        if self.parts.shared and self.mesh.pipeline is not None:
            gradients.add_up_shared(self.parts.shared, self.mesh.pipeline, self.device)
        if self.mesh.data is not None and (self._explicit or not self._exchanged):
            with self._communication.running():
                mine = gradients.gradients(self.parts.parameters.values())
                replicas.average(mine, self.mesh.data, bucket_mb=self.layout.bucket_mb)

    def _untrained(self, x: Tensor, y: Tensor, measure: Loss) -> Tensor:
        if self._pipeline is not None:
            return self._pipeline.evaluate(x, y, measure)
        module = self.parts.modules[0]
        inner = unwrap(module)
        was_training = inner.training
        inner.eval()
        try:
            with torch.no_grad(), autocast(self.layout.precision, self.device):
                return measure(inner(x), y).double()
        finally:
            inner.train(was_training)

    def _totals(self, loss: Tensor, samples: int, *, update: bool) -> Totals:
        needs_norm = update and (self.layout.clip_norm is not None or self.loss_scale.active)
        once = [
            parameter
            for name, parameter in self.parts.parameters.items()
            if needs_norm and name in self.parts.counted and (self.mesh.replica == 0 or self.layout.shard == "fsdp")
        ]
        return add_up(
            self.mesh,
            loss=loss,
            samples=samples,
            window_samples=self._window_samples,
            squared_norm=gradients.squared_norm(gradients.gradients(once), self.device),
            busy_s=self._pipeline.busy.take_s() if self._pipeline is not None else 0.0,
            wall_s=self._pipeline.wall.take_s() if self._pipeline is not None else 0.0,
            peak_bytes=self._memory.read_bytes(),
        )

    def _update(self, totals: Totals) -> None:
        """Divide by the window's samples and the loss scale, clip, and let the optimizer go on."""
        factor = self.layout.data * self._unit / totals.window_samples / self.loss_scale.value
        norm = math.sqrt(totals.squared_norm) * factor
        if self.layout.clip_norm is not None or self.loss_scale.active:
            self._meter.grad_norm = norm
        if self.loss_scale.judge(math.isfinite(norm)):
            if self.layout.clip_norm is not None:
                factor *= min(1.0, self.layout.clip_norm / (norm + 1e-6))  # as torch.nn.utils.clip_grad_norm_
            gradients.multiply(gradients.gradients(self.parts.parameters.values()), factor)
            self.optimizer.step()
            self.updates += 1
            if self.scheduler is not None:
                self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._pending, self._window_samples = 0, 0
