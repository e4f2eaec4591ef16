"""A model as a list of layers, and where a pipeline cuts it: at balanced measured cost."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from paretune.errors import SpecError

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> the mean over the samples, a scalar."""

_REPEATS = 3  # timed passes per layer; their median ignores what else the machine does


def as_module(model: nn.Module | Sequence[nn.Module]) -> nn.Module:
    """The model as one module: a list of layers becomes an `nn.Sequential`."""
    return model if isinstance(model, nn.Module) else nn.Sequential(*model)


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers whose composition the model is: those `model.stages()` lists, or a Sequential's.

    Each takes the one tensor that the layer before it returns.

    Raises:
        SpecError: the model does not say what its layers are.
    """
    stages = getattr(model, "stages", None)
    if callable(stages):
        return list(stages())
    if isinstance(model, nn.Sequential):
        return list(model)
    raise SpecError(
        f"{type(model).__name__}: a pipeline and activation checkpointing need the model's layers",
        hint="give it a method stages() that returns its layers in order, or pass a list of layers",
    )


def cut(costs: Sequence[float], stages: int) -> list[int]:
    """Cut points that make the most expensive of `stages` contiguous parts as cheap as possible.

    Returns:
        For each stage the index of its first layer; exact, by dynamic programming over the prefix sums.

    Raises:
        SpecError: there are fewer layers than stages.
    """
    if len(costs) < stages:
        raise SpecError(f"layout: {stages} stages need as many layers, the model has {len(costs)}")
    sums = [0.0, *itertools.accumulate(costs)]
    # best[n]: (largest part, cuts) of the first n layers in as many parts as the loop has gone through
    best: dict[int, tuple[float, list[int]]] = {n: (sums[n], [0]) for n in range(1, len(costs) + 1)}
    for parts in range(2, stages + 1):
        best = {
            n: min(
                (max(best[first][0], sums[n] - sums[first]), [*best[first][1], first]) for first in range(parts - 1, n)
            )
            for n in range(parts, len(costs) + 1)
        }
    return best[len(costs)][1]


def check_cuts(cuts: Sequence[int], *, layers: int, stages: int) -> list[int]:
    """Cut points that somebody gave: for each stage its first layer, in order, the first one 0."""
    bounds = [*cuts, layers]
    if len(cuts) != stages or not cuts or cuts[0] != 0 or any(a >= b for a, b in itertools.pairwise(bounds)):
        raise SpecError(
            f"cuts: must be the first layer of each of {stages} stages, rising from 0 and below {layers}, got "
            f"{list(cuts)}"
        )
    return list(cuts)


def measure(layers: Sequence[nn.Module], x: Tensor) -> list[float]:
    """Seconds of forward and backward pass of each layer on one microbatch `x`.

    In evaluation mode and beside `.grad`, so that neither statistics nor gradients are touched.
    """
    costs_s = []
    for layer in layers:
        was_training = layer.training
        layer.eval()
        try:
            with torch.enable_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
                costs_s.append(statistics.median(_pass_s(layer, x) for _ in range(_REPEATS + 1)))
                x = layer(x).detach()
        finally:
            layer.train(was_training)
    return costs_s


def _pass_s(layer: nn.Module, x: Tensor) -> float:
    x = x.detach().requires_grad_(x.is_floating_point())
    wanted = [tensor for tensor in (x, *layer.parameters()) if tensor.requires_grad]
    _synchronise(x)
    started_s = time.perf_counter()
    y = layer(x)
    if wanted and y.requires_grad:
        torch.autograd.grad(y, wanted, torch.ones_like(y), allow_unused=True)
    _synchronise(x)
    return time.perf_counter() - started_s


def _synchronise(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
