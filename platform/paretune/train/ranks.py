"""What the data-parallel workers of one trial do together; with one worker every function is a plain no-op."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def rank() -> int:
    """This worker's number, 0 without a process group."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """The number of workers, 1 without a process group."""
    return dist.get_world_size() if _grouped() else 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """The element-wise sum of `values` over all workers, on every worker; a new tensor."""
    total = values.clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def max_over_ranks(values: Tensor) -> Tensor:
    """The element-wise maximum of `values` over all workers, on every worker; a new tensor."""
    largest = values.clone()
    if world_size() > 1:
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside a DDP wrapper.

    Validation runs on it: the wrapper synchronises in each forward, and ranks may have unequal numbers of batches.
    """
    return model.module if isinstance(model, DistributedDataParallel) else model


def share_buffers(model: nn.Module) -> None:
    """Give every worker rank 0's buffers (BatchNorm statistics), so that all validate the model that is saved."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def from_rank_0(value: int, device: torch.device) -> int:
    """Rank 0's integer on every worker."""
    if world_size() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.int64, device=device)
    dist.broadcast(shared, src=0)
    return int(shared)


def gather_to_rank_0(value: object) -> list[Any]:
    """Every worker's picklable `value` in rank order on rank 0; an empty list on the others."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.gather_object(value, found if rank() == 0 else None, dst=0)
    return found if rank() == 0 else []


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
