"""What all workers of a run add up in a step, in one small all-reduce."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from paretune.train.mesh import Mesh


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all workers, the same on each."""

    loss: float
    """Mean over the samples of the step; 0 when there were none."""
    samples: float
    window_samples: float
    """Samples since the last update."""
    squared_norm: float
    """Of the gradients as they are, neither averaged over the window nor unscaled."""
    busy_s: float
    wall_s: float
    peak_bytes: int
    """Of the worker that needs most."""


def add_up(
    mesh: Mesh,
    *,
    loss: Tensor,
    samples: int,
    window_samples: int,
    squared_norm: Tensor,
    busy_s: float,
    wall_s: float,
    peak_bytes: int,
) -> Totals:
    """Sums over all workers; `loss` (a mean) and samples count on the workers that have the last stage."""
    size = 1 if mesh.everyone is None else dist.get_world_size(mesh.everyone)
    last = float(mesh.has_loss)
    numbers = torch.tensor(
        [0.0, samples * last, window_samples * last, 0.0, busy_s, wall_s, *[0.0] * size],
        dtype=torch.float64,
        device=loss.device,
    )
    numbers[0] = loss * (samples * last)
    numbers[3] = squared_norm
    numbers[6 + (0 if mesh.everyone is None else dist.get_rank(mesh.everyone))] = peak_bytes
    if mesh.everyone is not None:
        dist.all_reduce(numbers, group=mesh.everyone)
    loss_sum, count, window, norm, busy, wall, *peaks = numbers.tolist()
    return Totals(
        loss=loss_sum / count if count else 0.0,
        samples=count,
        window_samples=window,
        squared_norm=norm,
        busy_s=busy,
        wall_s=wall,
        peak_bytes=int(max(peaks)),
    )
