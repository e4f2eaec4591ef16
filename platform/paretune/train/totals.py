"""What all workers of a run add up in a step, in one small all-reduce, which may go on beside other work."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from paretune.train.mesh import Mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """What one worker adds."""

    loss: Tensor
    """Mean over its samples; counts, as the samples do, where the last stage is."""
    samples: int
    window_samples: int
    """Samples since the last update."""
    squared_norm: Tensor | None = None
    """Of the gradients as they are, neither averaged over the window nor unscaled; None: not measured."""
    representation: Tensor | None = None
    """How often it was looked at, and the sums of spread and of the share that is alive: (3,)."""
    wall_s: float = 0.0
    """Of the pipeline's schedule."""
    busy_s: float = 0.0
    """In which its stages computed."""
    own_s: float = 0.0
    """In which it computed without waiting for others."""
    waited_s: float = 0.0
    """In which it waited for its batch."""
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of all workers, the same on each."""

    loss: float
    """Mean over the samples of the step; 0 when there were none."""
    samples: float
    window_samples: float
    squared_norm: float
    spread: float | None
    """Mean of the representations that were looked at; None: of none."""
    alive: float | None
    wall_s: float
    """Of the pipelines' schedules, until the last worker had done its part, times the number of workers."""
    busy_s: float
    """Of all workers."""
    own_s: tuple[float, ...]
    """By worker, as `waited_s`."""
    waited_s: tuple[float, ...]
    peak_bytes: int
    """Of the worker that needs most."""


class Adding:
    """The sums over all workers, under way."""

    def __init__(self, mesh: Mesh, mine: Mine) -> None:
        self._size = 1 if mesh.everyone is None else dist.get_world_size(mesh.everyone)
        here = 0 if mesh.everyone is None else dist.get_rank(mesh.everyone)
        samples, window = (n * mesh.has_loss for n in (mine.samples, mine.window_samples))
        each = [0.0] * (5 * self._size)  # one place for each worker, so that the sum keeps them apart
        each[here :: self._size] = [mine.wall_s, mine.busy_s, mine.own_s, mine.waited_s, mine.peak_bytes]
        numbers = torch.tensor([0.0, samples, window, 0.0, 0.0, 0.0, 0.0, *each], dtype=torch.float64)
        self._numbers = numbers = numbers.to(mine.loss.device)
        numbers[0] = mine.loss * samples
        if mine.squared_norm is not None:
            numbers[3] = mine.squared_norm
        if mine.representation is not None:
            numbers[4:7] = mine.representation
        self._work = None
        if mesh.everyone is not None:
            self._work = dist.all_reduce(numbers, group=mesh.everyone, async_op=True)

    def totals(self) -> Totals:
        """Wait for the others."""
        if self._work is not None:
            self._work.wait()
        size = self._size
        loss_sum, count, window_sum, squared_norm, looks, spread, alive, *each = self._numbers.tolist()
        wall_s, busy_s, own_s, waited_s, peak_bytes = (each[size * k : size * (k + 1)] for k in range(5))
        return Totals(
            loss=loss_sum / count if count else 0.0,
            samples=count,
            window_samples=window_sum,
            squared_norm=squared_norm,
            spread=spread / looks if looks else None,
            alive=alive / looks if looks else None,
            wall_s=max(wall_s) * size,
            busy_s=sum(busy_s),
            own_s=tuple(own_s),
            waited_s=tuple(waited_s),
            peak_bytes=int(max(peak_bytes)),
        )
