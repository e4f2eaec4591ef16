"""The random states of one worker, as a checkpoint keeps them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from paretune.train.ranks import rank
from paretune.train.seed import derive_seed, seed_everything


def rng_state() -> dict[str, Any]:
    """This worker's global random states, as types that `torch.load(weights_only=True)` accepts."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - the global one is meant
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def load_rng(states: Sequence[dict[str, Any]]) -> None:
    """Set this worker's states to those saved for its rank; one that has none derives its own from rank 0's."""
    if rank() >= len(states):
        torch.set_rng_state(states[0]["torch"])
        seed_everything(derive_seed(torch.initial_seed() % 2**63, rank()))
        return
    state = states[rank()]
    random.setstate(state["python"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
