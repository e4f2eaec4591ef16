"""Mini-batches as index tensors, for data that lies on the device as a whole.

Plain indexing of a resident tensor is several times faster than a DataLoader that collates sample by sample, and the
order is a pure function of (seed, epoch), which is what an exact resume needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from paretune.errors import SpecError
from paretune.train.ranks import rank, world_size
from paretune.train.seed import generator


def shuffled_batches(size: int, batch_size: int, *, seed: int, epoch: int) -> Iterator[Tensor]:
    """This worker's batches of one training epoch over `size` samples, as CPU index tensors.

    `batch_size` counts the samples of one step over all workers; each takes an equal share, rounded up. All workers
    get the same number of batches of the same sizes, as DDP needs: the order is continued from its start until it
    divides.
    """
    order = torch.randperm(size, generator=generator(seed, epoch))
    workers = world_size()
    padded = order[torch.arange(-(-size // workers) * workers) % size]
    return iter(padded[rank() :: workers].split(_share(batch_size)))


def batches_per_epoch(size: int, batch_size: int) -> int:
    """How many batches `shuffled_batches` gives each worker: the optimizer steps of an epoch."""
    return math.ceil(math.ceil(size / world_size()) / _share(batch_size))


def batch_indices(size: int, batch_size: int) -> Iterator[Tensor]:
    """This worker's part of `size` samples in order, each sample on exactly one worker: for validation.

    Workers may get unequal numbers of batches, so nothing may be exchanged between ranks inside this loop.
    """
    own = torch.arange(size)[rank() :: world_size()]
    return (batch for batch in own.split(_share(batch_size)) if len(batch))


def _share(batch_size: int) -> int:
    if batch_size < 1:
        raise SpecError(f"batch_size must be >= 1, got {batch_size}")
    return -(-batch_size // world_size())
