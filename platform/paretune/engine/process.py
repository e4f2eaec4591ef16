"""A process that runs one training loop after another: each finds it as the first one did.

Put back after a loop: the environment, the folder, `sys.path` and `sys.argv`, warning filters, the root logger; torch's
threads, default dtype and device, gradient mode, autocast, determinism, precisions, anomaly detection, hooks on all
modules, and compiled code. Ended: open runs of `paretune.train`, and process groups that the loop made. What cannot be
undone from outside (threads that go on, patched modules) is for `isolation: trial`.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.modules import module as every_module

from paretune.train.open_runs import close_runs

_Setting: TypeAlias = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How a setting is read, and how it is set."""


def _attribute(owner: object, name: str) -> _Setting:
    return partial(getattr, owner, name), partial(setattr, owner, name)


def _autocast(device: str) -> list[_Setting]:
    return [
        (partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)),
        (partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)),
    ]


_SETTINGS: tuple[_Setting, ...] = (
    (os.getcwd, os.chdir),
    _attribute(sys, "argv"),
    _attribute(logging.root, "level"),
    _attribute(logging.root.manager, "disable"),
    (np.geterr, lambda found: np.seterr(**found)),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    *_autocast("cpu"),
    *_autocast("cuda"),
    *[_attribute(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")],
    _attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
    (torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy),
)

_HOOKS = tuple(
    hooks for name, hooks in vars(every_module).items() if name.startswith("_global_") and isinstance(hooks, dict)
)
"""What `torch.nn.modules.module.register_module_forward_hook` and its like fill."""


@contextmanager
def clean(seed: int) -> Iterator[None]:
    """Seed every generator before; leave the process as it was after, and its memory free.

    Every rank gets the same seed: loops that average gradients themselves count on equal initial weights, which
    PyTorch's constant default seed gives them outside paretune.
    """
    environment, path, handlers = dict(os.environ), list(sys.path), list(logging.root.handlers)
    before, hooks, groups = [read() for read, _ in _SETTINGS], [dict(each) for each in _HOOKS], _groups()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - training loops use numpy's global generator
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:], logging.root.handlers[:] = path, handlers
        for (read, write), value in zip(_SETTINGS, before, strict=True):
            if read() != value:
                write(value)
        for each, found in zip(_HOOKS, hooks, strict=True):
            each.clear()
            each.update(found)
        close_runs()
        for group in [group for group in _groups() if group not in groups]:
            dist.destroy_process_group(group)
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()  # a function that was compiled for many shapes is not compiled any more
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _groups() -> list[Any]:
    """The process groups that this process belongs to, in the order in which they were made."""
    if not (dist.is_available() and dist.is_initialized()):
        return []
    return list(dist.distributed_c10d._world.pg_map)
