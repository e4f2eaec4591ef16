"""Which kernel looks back at a study."""

from __future__ import annotations

from paretune.algorithms._gp.settings import GP, Kernel
from paretune.settings import AlgorithmSpec


def kernel_of(algorithm: AlgorithmSpec) -> Kernel:
    """The one that `gp` was told to search with, its default for every other algorithm."""
    return GP.model_validate(algorithm.settings if algorithm.name == GP.algorithm else {}).kernel
