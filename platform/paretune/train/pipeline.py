"""One copy of the model over several workers, in PyTorch's pipeline schedules.

Shapes at the stages' borders are found by one forward pass in evaluation mode, which leaves statistics, gradients and
random numbers alone; the schedules' own way of finding them does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import pipelining
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import PipelineStage

from paretune.errors import SpecError
from paretune.train.clock import Clock
from paretune.train.layers import Loss
from paretune.train.layout import LOOPED, Layout
from paretune.train.mesh import Mesh
from paretune.train.precision import autocast

_SCHEDULES: dict[str, Any] = {
    "gpipe": pipelining.ScheduleGPipe,
    "1f1b": pipelining.Schedule1F1B,
    "interleaved1f1b": pipelining.ScheduleInterleaved1F1B,
    "zerobubble": pipelining.ScheduleInterleavedZeroBubble,
}
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)  # of what stages hand on, by code number
_MAX_DIMENSIONS = 6


class Stage(nn.Module):
    """A contiguous part of the model's layers: (B, ...) -> (B, ...), under the layout's precision."""

    def __init__(self, layers: Sequence[nn.Module], layout: Layout, device: torch.device) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._precision, self._device = layout.precision, device

    def forward(self, x: Tensor) -> Tensor:
        with autocast(self._precision, self._device):
            for layer in self.layers:
                x = layer(x)
        return x


class Pipeline:
    """This worker's stages; it holds those numbered stage, stage + p, stage + 2p ... for p workers."""

    def __init__(
        self, stages: dict[int, nn.Module], *, layout: Layout, mesh: Mesh, loss: Loss, device: torch.device
    ) -> None:
        self.busy, self.wall = Clock(device), Clock(device)
        self._stages, self._layout, self._mesh, self._device = stages, layout, mesh, device
        self._loss = loss
        self._factor = 1.0
        self._schedule: Any = None
        self._shape: torch.Size | None = None

    def backward(self, x: Tensor, y: Tensor, *, factor: float) -> Tensor:
        """Forward and backward pass of one batch; the gradients of `factor` x its mean loss are added to `.grad`.

        All workers of a pipeline are given the same batch. Returns the mean loss on the last worker, 0 on the others.

        Raises:
            SpecError: the batch cannot be cut into equal microbatches.
        """
        count = self._layout.microbatches
        if len(x) % count:
            raise SpecError(
                f"batch: must be divisible by layout.microbatches = {count}, got {len(x)} samples",
                hint="leave out an incomplete last batch, or change microbatches",
            )
        fresh = x[: len(x) // count].shape != self._shape
        if fresh:
            self._prepare(x[: len(x) // count])
        self._factor = factor / count
        losses: list[Tensor] = []
        inputs = (x,) if 0 in self._stages else ()
        target = y if self._last in self._stages else None
        with self._gradients_kept() if fresh else nullcontext(), self.wall.running():
            self._schedule.step(*inputs, target=target, losses=losses, return_outputs=False)
        if not losses:
            return torch.zeros((), device=self._device)
        return torch.stack(losses).detach().double().sum() / factor

    @torch.no_grad()
    def evaluate(self, x: Tensor, y: Tensor, measure: Loss) -> Tensor:
        """The mean of `measure` over one batch, without gradients, in evaluation mode; 0 but on the last worker."""
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        modules = list(self._stages.values())
        modes = [module.training for module in modules]
        for module in modules:
            module.eval()
        try:
            pieces = min(self._layout.microbatches, len(x))
            for x_piece, y_piece in zip(x.tensor_split(pieces), y.tensor_split(pieces), strict=True):
                output = self._forward(x_piece).get(self._last)
                if output is not None:
                    total += measure(output[1], y_piece).double() * (len(x_piece) / len(x))
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.train(mode)
        return total

    @property
    def _last(self) -> int:
        return self._layout.stages - 1

    def _prepare(self, x: Tensor) -> None:
        """Build the schedule for microbatches like `x`."""
        modes = {number: module.training for number, module in self._stages.items()}
        for module in self._stages.values():
            module.eval()
        with torch.no_grad():
            borders = self._forward(x)
        for number, module in self._stages.items():
            module.train(modes[number])
        stages = [
            _TimedStage(
                module,
                number,
                self._layout.stages,
                self._device,
                input_args=_like(borders[number][0], grad=number > 0),
                output_args=_like(borders[number][1], grad=True),
                group=self._mesh.pipeline,
            )
            for number, module in self._stages.items()
        ]
        for stage in stages:
            stage.busy = self.busy
        looped = self._layout.schedule in LOOPED
        self._schedule = _SCHEDULES[self._layout.schedule](
            stages if looped else stages[0],
            self._layout.microbatches,
            loss_fn=self._scaled_loss,
            scale_grads=False,  # the factor has the share of a microbatch in it
        )
        self._shape = x.shape

    @contextmanager
    def _gradients_kept(self) -> Iterator[None]:
        """Add up the gradients that are there and those of the block, in which a schedule makes its first step.

        PyTorch's schedules clear the gradients of FSDP modules then (`_post_metadata_inference_cleanup`).
        """
        sharded = [module for module in self._stages.values() if isinstance(module, FSDPModule)]
        kept = [(parameter, parameter.grad) for module in sharded for parameter in module.parameters()]
        for parameter, _ in kept:
            parameter.grad = None
        yield
        for parameter, grad in kept:
            if grad is not None:
                parameter.grad = grad if parameter.grad is None else parameter.grad + grad

    def _scaled_loss(self, output: Tensor, target: Tensor) -> Tensor:
        with self.busy.running(), autocast(self._layout.precision, self._device):
            return self._loss(output, target) * self._factor

    def _forward(self, x: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Pass one microbatch through all stages; what this worker's stages took and returned, by their number."""
        passed: dict[int, tuple[Tensor, Tensor]] = {}
        workers, here = self._layout.pipeline, self._mesh.stage
        for number in range(here, self._layout.stages, workers):
            taken = x if number == 0 else _receive((here - 1) % workers, self._mesh.pipeline, self._device)
            passed[number] = (taken, self._stages[number](taken))
            if number < self._last:
                _send(passed[number][1], (here + 1) % workers, self._mesh.pipeline)
        return passed


class _TimedStage(PipelineStage):
    """PyTorch's stage, with a clock around its work: what is not work is waiting for other stages."""

    busy: Clock

    def forward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        with self.busy.running():
            return super().forward_one_chunk(*args, **kwargs)

    def backward_one_chunk(self, *args: Any, **kwargs: Any) -> None:
        with self.busy.running():
            super().backward_one_chunk(*args, **kwargs)

    def backward_weight_one_chunk(self, *args: Any, **kwargs: Any) -> None:
        with self.busy.running():
            super().backward_weight_one_chunk(*args, **kwargs)


def _like(x: Tensor, *, grad: bool) -> Tensor:
    return torch.empty_like(x).requires_grad_(grad)


def _send(x: Tensor, to: int, group: dist.ProcessGroup | None) -> None:
    """Hand a tensor to another worker of the pipeline, with its shape and type in front."""
    shape = [x.dim(), *x.shape, *[0] * (_MAX_DIMENSIONS - x.dim())]
    header = torch.tensor([_DTYPES.index(x.dtype), *shape], dtype=torch.int64, device=x.device)
    dist.send(header, group=group, group_dst=to)
    dist.send(x.contiguous(), group=group, group_dst=to)


def _receive(source: int, group: dist.ProcessGroup | None, device: torch.device) -> Tensor:
    header = torch.empty(_MAX_DIMENSIONS + 2, dtype=torch.int64, device=device)
    dist.recv(header, group=group, group_src=source)
    code, dimensions, *shape = header.tolist()
    x = torch.empty(shape[:dimensions], dtype=_DTYPES[code], device=device)
    dist.recv(x, group=group, group_src=source)
    return x
