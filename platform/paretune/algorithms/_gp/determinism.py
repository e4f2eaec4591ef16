"""The same bits every time, and no trace left behind."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import gpytorch
import torch
from linear_operator.utils.warnings import NumericalWarning


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Run torch on one thread, seeded, with exact linear algebra; threads and generators are restored afterwards.

    One thread, because the order of a sum depends on their number (and at these sizes more are slower); Cholesky at
    any size, because beyond 800 rows GPyTorch turns to conjugate gradients with random probes. Where points coincide a
    covariance is singular and gets jitter on its diagonal; that is as it should be, and no warning is due.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            gpytorch.settings.max_cholesky_size(1_000_000),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", NumericalWarning)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU as well
            yield
    finally:
        torch.set_num_threads(threads)
