"""The covariance of function values: a function of distance, with one lengthscale per column.

Rasmussen and Williams (2006), equations 4.9 and 4.17. Written out because at these sizes a general library spends most
of its time on its own graph.

Legend: a, b points, f columns; leading dimensions are batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from paretune.algorithms._gp.settings import Kernel

Profile: TypeAlias = Callable[[torch.Tensor], tuple[torch.Tensor, Callable[[], torch.Tensor]]]
"""From squared distances the covariances, and on demand how fast they fall: minus twice the derivative by the former,
which is finite at zero where that by the distance is not."""


def covariances(X_af: torch.Tensor, X_bf: torch.Tensor, lengths_f: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """Covariances of unit variance; shape (..., a, b) from (..., a, f), (..., b, f) and (..., 1, f)."""
    A_af, B_bf = X_af / lengths_f, X_bf / lengths_f
    squares_ab = (A_af**2).sum(-1, keepdim=True) + (B_bf**2).sum(-1).unsqueeze(-2)
    distances_ab: torch.Tensor = squares_ab - 2 * A_af @ B_bf.mT
    values_ab: torch.Tensor = _Covariances.apply(distances_ab, PROFILES[kernel])  # type: ignore[no-untyped-call]
    return values_ab


def matern52(squared: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
    """(1 + a + a^2 / 3) exp(-a), a = sqrt(5 r^2): twice differentiable functions."""
    root = (5 * squared).sqrt_()
    decay = root.neg().exp_()
    values = (root / 3).add_(1).mul_(root).add_(1).mul_(decay)  # in place: half of the time is memory's
    return values, lambda: (root + 1).mul_(decay).mul_(5 / 3)


def matern32(squared: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
    """(1 + a) exp(-a), a = sqrt(3 r^2): functions that bend sharply, differentiable once."""
    root = (3 * squared).sqrt_()
    decay = root.neg().exp_()
    return root.add_(1).mul_(decay), lambda: 3 * decay


def rbf(squared: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
    """exp(-r^2 / 2): functions without any edge."""
    values = (squared / -2).exp_()
    return values.clone(), lambda: values  # what is returned may be written to


PROFILES: dict[Kernel, Profile] = {"matern52": matern52, "matern32": matern32, "rbf": rbf}


class _Covariances(torch.autograd.Function):
    """A profile, by squared distances that rounding may have left below zero."""

    @staticmethod
    def forward(ctx: Any, squared: torch.Tensor, profile: Profile) -> torch.Tensor:
        values, ctx.fall = profile(squared.clamp_min(0))
        return values

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        return upstream[0] * ctx.fall() / -2, None
