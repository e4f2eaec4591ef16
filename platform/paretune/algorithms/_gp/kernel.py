"""The covariance of function values: Matern-5/2 with one lengthscale per column.

Rasmussen and Williams (2006), equation 4.17. Written out because at these sizes a general library spends most of its
time on its own graph.

Legend: a, b points, f columns; leading dimensions are batches.
"""

from __future__ import annotations

from typing import Any

import torch


def matern52(X_af: torch.Tensor, X_bf: torch.Tensor, lengths_f: torch.Tensor) -> torch.Tensor:
    """Covariances of unit variance; shape (..., a, b) from (..., a, f), (..., b, f) and (..., 1, f)."""
    A_af, B_bf = X_af / lengths_f, X_bf / lengths_f
    squares_ab = (A_af**2).sum(-1, keepdim=True) + (B_bf**2).sum(-1).unsqueeze(-2)
    distances_ab: torch.Tensor = squares_ab - 2 * A_af @ B_bf.mT
    values_ab: torch.Tensor = _Matern52.apply(distances_ab)  # type: ignore[no-untyped-call]
    return values_ab


class _Matern52(torch.autograd.Function):
    """(1 + a + a^2 / 3) exp(-a), a = sqrt(5 r^2), by r^2: its derivative is finite where the root's is not."""

    @staticmethod
    def forward(ctx: Any, squared: torch.Tensor) -> torch.Tensor:
        root = (5 * squared.clamp_min(0)).sqrt_()
        decay = torch.exp(-root)
        ctx.save_for_backward(root, decay)
        return (1 + root * (1 + root / 3)) * decay

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> torch.Tensor:
        root, decay = ctx.saved_tensors
        gradient: torch.Tensor = upstream[0] * (-5 / 6) * (1 + root) * decay
        return gradient
