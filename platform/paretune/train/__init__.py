"""What a training loop may use: layouts, seeds, batches, optimizers, schedules, watchers, checkpoints, latency.

Every helper works alike on one CPU worker, on CUDA and on many workers. Nothing here is required: a loop that paretune
searches is an ordinary Ray Train loop. Names are imported on first use, so that importing this package does not
import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paretune.train.batches import batch_indices, batches_per_epoch, even_batches, shuffled_batches
    from paretune.train.checkpoint import restore, snapshot
    from paretune.train.device import training_device
    from paretune.train.judge import Rules
    from paretune.train.latency import latency_ms
    from paretune.train.layout import Layout
    from paretune.train.memory import PeakMemory
    from paretune.train.optimizers import Lamb, Lars, make_optimizer, parameter_groups
    from paretune.train.preflight import Specimen
    from paretune.train.ranks import max_over_ranks, share_buffers, sum_over_ranks, unwrap, world_size
    from paretune.train.run import Run, prepare
    from paretune.train.schedule import make_schedule, scaled_lr
    from paretune.train.seed import derive_seed, generator, seed_everything, start_seed
    from paretune.train.settings import read_settings
    from paretune.train.watch import Watch

_MODULES = {
    "Lamb": "optimizers",
    "Lars": "optimizers",
    "Layout": "layout",
    "PeakMemory": "memory",
    "Rules": "judge",
    "Run": "run",
    "Specimen": "preflight",
    "Watch": "watch",
    "batch_indices": "batches",
    "batches_per_epoch": "batches",
    "derive_seed": "seed",
    "even_batches": "batches",
    "generator": "seed",
    "latency_ms": "latency",
    "make_optimizer": "optimizers",
    "make_schedule": "schedule",
    "max_over_ranks": "ranks",
    "parameter_groups": "optimizers",
    "prepare": "run",
    "read_settings": "settings",
    "restore": "checkpoint",
    "scaled_lr": "schedule",
    "seed_everything": "seed",
    "share_buffers": "ranks",
    "shuffled_batches": "batches",
    "snapshot": "checkpoint",
    "start_seed": "seed",
    "sum_over_ranks": "ranks",
    "training_device": "device",
    "unwrap": "ranks",
    "world_size": "ranks",
}

__all__ = [
    "Lamb",
    "Lars",
    "Layout",
    "PeakMemory",
    "Rules",
    "Run",
    "Specimen",
    "Watch",
    "batch_indices",
    "batches_per_epoch",
    "derive_seed",
    "even_batches",
    "generator",
    "latency_ms",
    "make_optimizer",
    "make_schedule",
    "max_over_ranks",
    "parameter_groups",
    "prepare",
    "read_settings",
    "restore",
    "scaled_lr",
    "seed_everything",
    "share_buffers",
    "shuffled_batches",
    "snapshot",
    "start_seed",
    "sum_over_ranks",
    "training_device",
    "unwrap",
    "world_size",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
