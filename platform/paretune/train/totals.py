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
    """In which the workers of pipelines computed, added up."""
    wall_s: float
    """Of the pipelines' schedules, until the last worker had done its part, times the number of workers."""
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
    mine = 0 if mesh.everyone is None else dist.get_rank(mesh.everyone)
    last = float(mesh.has_loss)
    own = torch.zeros(2, size, dtype=torch.float64)  # one place for each worker, so that the sum keeps them apart
    own[:, mine] = torch.tensor([wall_s, peak_bytes], dtype=torch.float64)
    numbers = torch.tensor([0.0, samples * last, window_samples * last, 0.0, busy_s], dtype=torch.float64)
    numbers = torch.cat([numbers, own.flatten()]).to(loss.device)
    numbers[0] = loss * (samples * last)
    numbers[3] = squared_norm
    if mesh.everyone is not None:
        dist.all_reduce(numbers, group=mesh.everyone)
    loss_sum, count, window, norm, busy, *each = numbers.tolist()
    return Totals(
        loss=loss_sum / count if count else 0.0,
        samples=count,
        window_samples=window,
        squared_norm=norm,
        busy_s=busy,
        wall_s=max(each[:size]) * size,
        peak_bytes=int(max(each[size:])),
    )
