"""Gradients that lie on several workers: their global norm, their scale, parameters that several stages share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def local(tensor: Tensor) -> Tensor:
    """This worker's part of a tensor that FSDP has sharded; any other tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The local parts of the gradients that are there."""
    return [local(parameter.grad) for parameter in parameters if parameter.grad is not None]


def squared_norm(grads: Sequence[Tensor], device: torch.device) -> Tensor:
    """The sum of the squares of all elements, a float64 scalar."""
    if not grads:
        return torch.zeros((), dtype=torch.float64, device=device)
    norms = torch._foreach_norm(list(grads))
    return torch.stack([norm.double() for norm in norms]).square().sum()


@torch.no_grad()
def multiply(grads: Sequence[Tensor], factor: float) -> None:
    """Multiply gradients in place; one is left alone, so that nothing is rounded where nothing is to be done."""
    if grads and factor != 1.0:
        torch._foreach_mul_(list(grads), factor)


@dataclass(frozen=True, slots=True)
class Shared:
    """A parameter that stages on several workers use: tied embeddings, say."""

    parameter: nn.Parameter | None
    """None on a worker that does not use it."""
    shape: torch.Size
    dtype: torch.dtype


@torch.no_grad()
def add_up_shared(shared: Sequence[Shared], group: dist.ProcessGroup, device: torch.device) -> None:
    """Give every stage the sum of all stages' gradients of the parameters they share, listed alike on every worker."""
    for each in shared:
        grad = None if each.parameter is None else each.parameter.grad
        total = torch.zeros(each.shape, dtype=each.dtype, device=device) if grad is None else grad.clone()
        dist.all_reduce(total, group=group)
        if each.parameter is not None:
            if each.parameter.grad is None:
                each.parameter.grad = total
            else:
                each.parameter.grad.copy_(total)
