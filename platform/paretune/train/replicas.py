"""Copies of a module that learn from different samples: DDP, FSDP2, or one all-reduce after the backward pass."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import CellType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from paretune.train.layout import Layout

_LET_GO_S = 2.0  # threads that are still busy then wait for a worker that has died
_POWERSGD_WARM_UP = 10  # steps exchanged in full first, while gradients change fastest (Vogels et al. 2019 has none)


def replicate(
    module: nn.Module, layers: Sequence[nn.Module], layout: Layout, group: dist.ProcessGroup | None
) -> nn.Module:
    """Make `module` one of `layout.data` copies, or shard it; the module to call from now on.

    `layers` are the parts of it that FSDP gathers one at a time.
    """
    if group is None or layout.shard == "none":
        return module
    if layout.shard == "fsdp":
        # A name of its own: equal meshes share cached plans, and with them the group of a run that is long closed.
        name = (f"data-{group.group_name}",)
        mesh = DeviceMesh.from_group(group, _device_type(module), mesh_dim_names=name)
        for layer in layers:
            if layer is not module and any(True for _ in layer.parameters()):
                fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
        return module
    ddp = DistributedDataParallel(
        module,
        process_group=group,
        bucket_cap_mb=layout.bucket_mb,
        forward_sync_buffers=False,  # shared when they are used: before validation and in checkpoints
        gradient_as_bucket_view=True,
    )
    _compress(ddp, layout, group)
    return ddp


def shards(module: nn.Module) -> list[nn.Module]:
    """The parts of a module whose parameters FSDP gathers at once."""
    return [part for part in module.modules() if isinstance(part, FSDPModule)]


def without_exchange(module: nn.Module, *, wait: bool) -> AbstractContextManager[Any]:
    """The context of a backward pass whose gradients are only added up when `wait` is true."""
    return module.no_sync() if wait and isinstance(module, DistributedDataParallel) else nullcontext()


def let_go(module: nn.Module) -> None:
    """Wait until the threads of the group have let go of PowerSGD's callbacks, and with them of the group.

    They do so shortly after the gradients are there. Whoever lets go of a group last ends its threads and waits for
    them, and a thread that waits for itself ends the process.
    """
    deadline_s = time.monotonic() + _LET_GO_S
    for _, state in getattr(module, "_comm_hooks", ()):
        while _in_callbacks(state) and time.monotonic() < deadline_s:
            time.sleep(1e-3)


def _in_callbacks(state: object) -> bool:
    return any(isinstance(holder, CellType) for holder in gc.get_referrers(state))


def average(tensors: Iterable[Tensor], group: dist.ProcessGroup, *, bucket_mb: float) -> None:
    """Replace each tensor by its mean over the group, many at a time."""
    size = dist.get_world_size(group)
    for bucket in _buckets(tensors, bucket_mb):
        flat = _flatten(bucket).div_(size)
        dist.all_reduce(flat, group=group)
        _unflatten(flat, bucket)


def broadcast(tensors: Iterable[Tensor], group: dist.ProcessGroup, *, device: torch.device) -> None:
    """Give all of the group the tensors of its first worker, by way of `device`."""
    for bucket in _buckets(tensors, 25.0):  # DDP's bucket size
        flat = _flatten(bucket).to(device)
        dist.broadcast(flat, group=group, group_src=0)
        _unflatten(flat, bucket)


@torch.no_grad()
def _flatten(bucket: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in bucket])


@torch.no_grad()
def _unflatten(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    for tensor, piece in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def _buckets(tensors: Iterable[Tensor], limit_mb: float) -> Iterator[list[Tensor]]:
    """Successive tensors of one type, up to a size."""
    bucket: list[Tensor] = []
    size_bytes = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size_bytes + tensor.nbytes > limit_mb * 2**20):
            yield bucket
            bucket, size_bytes = [], 0
        bucket.append(tensor)
        size_bytes += tensor.nbytes
    if bucket:
        yield bucket


def _device_type(module: nn.Module) -> str:
    return next(module.parameters()).device.type


def _compress(ddp: DistributedDataParallel, layout: Layout, group: dist.ProcessGroup) -> None:
    if layout.compression == "fp16":
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

        ddp.register_comm_hook(group, fp16_compress_hook)
    elif layout.compression == "powersgd":
        from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook

        ddp.register_comm_hook(PowerSGDState(group, start_powerSGD_iter=_POWERSGD_WARM_UP), powerSGD_hook)
