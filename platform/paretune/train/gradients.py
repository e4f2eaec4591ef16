"""Gradients that lie on several workers: their global norm, their scale, parameters that several stages share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    norms = torch._foreach_norm(grads)
    return torch.stack([norm.double() for norm in norms]).square().sum()


@torch.no_grad()
def multiply(grads: Sequence[Tensor], factor: float) -> None:
    """Multiply gradients in place; one is left alone, so that nothing is rounded where nothing is to be done."""
    if grads and factor != 1.0:
        torch._foreach_mul_(list(grads), factor)


@torch.no_grad()
def add_up_shared(
    shared: Sequence[tuple[nn.Parameter | None, torch.Size, torch.dtype]],
    group: dist.ProcessGroup,
    device: torch.device,
) -> None:
    """Give every stage that uses a parameter the sum of all stages' gradients of it (tied embeddings, say).

    `shared` lists such parameters in the same order on every worker, None where a worker does not use one.
    """
    for parameter, shape, dtype in shared:
        grad = None if parameter is None else parameter.grad
        total = torch.zeros(shape, dtype=dtype, device=device) if grad is None else grad.clone()
        dist.all_reduce(total, group=group)
        if parameter is not None:
            if parameter.grad is None:
                parameter.grad = total
            else:
                parameter.grad.copy_(total)
