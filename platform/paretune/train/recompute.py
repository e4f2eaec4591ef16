"""Activation checkpointing: a layer keeps its input alone and computes the rest again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(layers: Sequence[nn.Module]) -> Callable[[], None]:
    """Make these layers do so; what is returned makes them as they were.

    Their forward is replaced on the objects themselves, which leaves the names of parameters alone.
    """
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)

    def undo() -> None:
        for layer in layers:
            del layer.forward

    return undo
