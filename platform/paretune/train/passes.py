"""The passes of a run over its data: forward, backward, and the exchange of gradients, with a pipeline or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from paretune.errors import SpecError
from paretune.train import gradients, replicas
from paretune.train.assembly import Assembly
from paretune.train.clock import Clock
from paretune.train.layers import Loss
from paretune.train.layout import Layout
from paretune.train.mesh import Mesh
from paretune.train.pipeline import Pipeline
from paretune.train.precision import autocast
from paretune.train.ranks import unwrap

Batch = tuple[Tensor, Tensor]
"""Inputs (B, ...) and targets (B, ...)."""


@dataclass(frozen=True, slots=True)
class Times:
    """Of this worker, in seconds."""

    own_s: float
    """In which it waited for no other: its forward pass, of a pipeline `busy_s`; without the gathering of shards."""
    busy_s: float
    """In which a stage of a pipeline computed, with the copies of that stage; 0 without a pipeline."""
    wall_s: float
    """Of the pipeline's schedule; 0 without a pipeline."""


class Passes:
    """What this worker's part of the model computes; gradients are added to `.grad`, unscaled and unclipped."""

    def __init__(self, parts: Assembly, layout: Layout, mesh: Mesh, *, loss: Loss, device: torch.device) -> None:
        self._parts, self._layout, self._mesh, self._loss, self._device = parts, layout, mesh, loss, device
        self._communication, self._forward, self._gathering = Clock(device), Clock(device), Clock(device)
        self._hooks = [hook for module in parts.modules.values() for hook in _timed_gathering(module, self._gathering)]
        self._exchanged = False
        self._pipeline: Pipeline | None = None
        if mesh.pipeline is not None:
            self._pipeline = Pipeline(parts.modules, layout=layout, mesh=mesh, loss=loss, device=device)

    def load(self, batch: Batch) -> Batch:
        """The batch on this worker's device; raises SpecError when there are not as many inputs as targets."""
        x, y = batch
        if len(x) != len(y) or not len(x):
            raise SpecError(f"batch: must be as many inputs as targets, and some, got {len(x)} and {len(y)}")
        return x.to(self._device, non_blocking=True), y.to(self._device, non_blocking=True)

    def largest(self, count: int) -> int:
        """The largest of the workers' counts."""
        most = torch.tensor(count, device=self._device)
        if self._mesh.everyone is not None:
            dist.all_reduce(most, op=dist.ReduceOp.MAX, group=self._mesh.everyone)
        return int(most)

    @property
    def alike(self) -> bool:
        """Whether every worker has the loss before its backward pass, and all gradients once they are exchanged."""
        return self._pipeline is None and self._layout.shard != "fsdp"

    def backward(
        self, x: Tensor, y: Tensor, *, factor: float, exchange: bool, between: Callable[[Tensor], None] | None = None
    ) -> Tensor:
        """Add the gradients of `factor` x the mean loss; returns the mean loss where the last stage is.

        `exchange`: an update follows, so that what exchanges gradients during the pass is to do so. `between` is called
        with the loss before the backward pass, where workers are `alike`.
        """
        for module in self._parts.modules.values():
            if not module.training:
                module.train()
        if self._pipeline is not None:
            self._exchanged = not self._explicit
            return self._pipeline.backward(x, y, factor=factor)
        module = self._parts.modules[0]
        self._exchanged = exchange or self._layout.shard == "fsdp"
        with replicas.without_exchange(module, wait=not exchange):
            with self._forward.running(), autocast(self._layout.precision, self._device):
                loss = self._loss(module(x), y)
            found = loss.detach().double()
            if between is not None:
                between(found)
            (loss * factor).backward()
        return found

    def exchange(self) -> None:
        """Make the gradients the same on all copies, where the backward pass has not done it."""
        if self._parts.shared and self._mesh.pipeline is not None:
            gradients.add_up_shared(self._parts.shared, self._mesh.pipeline, self._device)
        if self._mesh.data is not None and (self._explicit or not self._exchanged):
            with self._communication.running():
                mine = gradients.gradients(self._parts.parameters.values())
                replicas.average(mine, self._mesh.data, bucket_mb=self._layout.bucket_mb)

    def squared_norm(self) -> Tensor:
        """This worker's share of the squared global norm of the gradients: each element counts on one worker.

        Where workers are `alike`, all of it.
        """
        counts = self.alike or self._mesh.replica == 0 or self._layout.shard == "fsdp"
        once = [self._parts.parameters[name] for name in self._parts.parameters if name in self._parts.counted]
        return gradients.squared_norm(gradients.gradients(once if counts else ()), self._device)

    def evaluate(self, x: Tensor, y: Tensor, measure: Loss | None) -> Tensor:
        """The mean of `measure`, of the loss where none is given, where the last stage is; in evaluation mode."""
        measure = measure or self._loss
        if self._pipeline is not None:
            return self._pipeline.evaluate(x, y, measure)
        inner = unwrap(self._parts.modules[0])
        was_training = inner.training
        inner.eval()
        try:
            with torch.no_grad(), autocast(self._layout.precision, self._device):
                return measure(inner(x), y).double()
        finally:
            inner.train(was_training)

    def share_buffers(self) -> None:
        """Give every copy the first one's buffers."""
        if self._mesh.data is not None and self._parts.buffers:
            replicas.broadcast(self._parts.buffers.values(), self._mesh.data, device=self._device)

    def take_times(self) -> Times:
        """What was counted since the last call."""
        gathering_s = self._gathering.take_s()
        if self._pipeline is None:
            return Times(own_s=max(self._forward.take_s() - gathering_s, 0.0), busy_s=0.0, wall_s=0.0)
        busy_s = self._pipeline.busy.take_s()
        return Times(own_s=max(busy_s - gathering_s, 0.0), busy_s=busy_s, wall_s=self._pipeline.wall.take_s())

    def take_communication_s(self) -> float | None:
        """Seconds since the last call spent in the explicit all-reduce; None where there is none."""
        return self._communication.take_s() if self._explicit else None

    def close(self) -> None:
        """Let go of the schedule, which holds the process groups, and leave the model as it was."""
        self._pipeline = None
        for hook in self._hooks:
            hook.remove()

    @property
    def _explicit(self) -> bool:
        return self._layout.shard == "none" and self._mesh.data is not None


def _timed_gathering(module: nn.Module, clock: Clock) -> list[RemovableHandle]:
    """Let a clock run while FSDP gathers a part's shards for its forward pass, in which it waits for the other copies.

    Activations that are computed again in the backward pass find theirs gathered: that takes no time.
    """
    hooks = []
    for part in replicas.shards(module):
        hooks.append(part.register_forward_pre_hook(lambda *args: clock.start(), prepend=True))
        hooks.append(part.register_forward_pre_hook(lambda *args: clock.stop()))
    return hooks
