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

Share = tuple[int, int]
"""(k, n): the k-th of n shares of each batch."""


def shuffled_batches(
    size: int, batch_size: int, *, seed: int, epoch: int, share: Share | None = None, multiple: int = 1
) -> Iterator[Tensor]:
    """This worker's batches of one training epoch over `size` samples, as CPU index tensors.

    `batch_size` counts the samples of one step over all workers; each takes an equal share, rounded up, which is one
    of as many as there are workers unless `share` says otherwise (`run.share`). All shares get the same number of
    batches of the same sizes, as data-parallel training needs, and sizes are multiples of `multiple`, as a pipeline's
    microbatches need: the order is continued from its start until it divides.
    """
    k, n = share or (rank(), world_size())
    order = torch.randperm(size, generator=generator(seed, epoch))
    padded = order[torch.arange(n * _each(size, n, multiple)) % size]
    return iter(padded[k::n].split(_each(_checked(batch_size), n, multiple)))


def batches_per_epoch(size: int, batch_size: int, *, share: Share | None = None, multiple: int = 1) -> int:
    """How many batches `shuffled_batches` gives each worker: the optimizer steps of an epoch."""
    _, n = share or (rank(), world_size())
    return math.ceil(_each(size, n, multiple) / _each(_checked(batch_size), n, multiple))


def batch_indices(size: int, batch_size: int) -> Iterator[Tensor]:
    """This worker's part of `size` samples in order, each sample on exactly one worker: for validation.

    Workers may get unequal numbers of batches, so nothing may be exchanged between ranks inside this loop.
    """
    own = torch.arange(size)[rank() :: world_size()]
    return (batch for batch in own.split(_each(_checked(batch_size), world_size(), 1)) if len(batch))


def even_batches(size: int, batch_size: int) -> Iterator[Tensor]:
    """All of `size` samples in order, in batches of nearly equal size, for validation that all workers do together.

    The k-th of n shares of each, `batch[k::n]`, holds a sample as long as there are n in a batch.
    """
    return iter(torch.arange(size).tensor_split(math.ceil(size / _checked(batch_size))))


def _each(samples: int, shares: int, multiple: int) -> int:
    """How many of the samples each share has, rounded up to a multiple."""
    return multiple * math.ceil(samples / (shares * multiple))


def _checked(batch_size: int) -> int:
    if batch_size < 1:
        raise SpecError(f"batch_size must be >= 1, got {batch_size}")
    return batch_size
