"""Seeds: one integer per trial, from which every stream of random numbers is derived."""

from __future__ import annotations

import random

import numpy as np
import torch

from paretune.train.device import training_device
from paretune.train.ranks import from_rank_0, rank


def start_seed(seed: int | None = None) -> int:
    """Seed this worker at the start of a loop and return the trial's seed, the same on all workers.

    Without `seed` it is the one that torch was last seeded with on rank 0, so a trial that the platform has seeded
    is reproducible with no key in its config. Each worker seeds itself differently (dropout masks must differ); data
    order is to be derived from the returned number. cuDNN is held to its deterministic kernels.
    """
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    chosen = torch.initial_seed() % 2**63 if seed is None else seed
    shared = from_rank_0(chosen, training_device())
    seed_everything(derive_seed(shared, rank()))
    return shared


def seed_everything(seed: int) -> None:
    """Seed python's, numpy's and torch's (all devices') global generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - user code and libraries draw from the global one
    torch.manual_seed(seed)


def generator(seed: int, *stream: int) -> torch.Generator:
    """A CPU generator for one stream, e.g. `generator(seed, epoch)` for the order of an epoch."""
    return torch.Generator().manual_seed(derive_seed(seed, *stream))


def derive_seed(seed: int, *stream: int) -> int:
    """A seed in 0..2^63-1 for one stream, well mixed (numpy's SeedSequence), so that seed 0 stream 1 is not seed 1."""
    word = np.random.SeedSequence([seed, *stream]).generate_state(1, dtype=np.uint64)[0]
    return int(word) >> 1
