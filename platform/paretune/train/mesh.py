"""The workers of one run as a data x pipeline grid, with a process group along each line of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist

from paretune.errors import SpecError
from paretune.train.layout import Layout
from paretune.train.ranks import rank, world_size


@dataclass(frozen=True, slots=True)
class Mesh:
    """This worker's place, and the groups it exchanges with; a group of one worker is None.

    Worker `stage * data + replica` is the one at (`replica`, `stage`): copies of one stage, which exchange the most,
    are neighbours. `has_loss`: the model's last stage lies here.
    """

    replica: int
    stage: int
    has_loss: bool
    everyone: dist.ProcessGroup | None
    data: dist.ProcessGroup | None
    pipeline: dist.ProcessGroup | None

    def close(self) -> None:
        """Destroy the groups; every worker calls it."""
        for group in {id(group): group for group in (self.data, self.pipeline, self.everyone) if group}.values():
            if dist.is_initialized():
                dist.destroy_process_group(group)


def open_mesh(layout: Layout, device: torch.device) -> Mesh:
    """Make the groups of a layout over all workers; every worker calls it.

    NCCL on CUDA, unless the process group says gloo, as where workers share a GPU; gloo on the CPU.

    Raises:
        SpecError: the layout is for another number of workers.
    """
    if layout.workers != world_size():
        raise SpecError(
            f"layout: data x pipeline must be the number of workers, {world_size()}, got {layout.data} x "
            f"{layout.pipeline} = {layout.workers}",
            hint="change data or pipeline, or the number of workers" if world_size() > 1 else "start the process group",
        )
    stage, replica = divmod(rank(), layout.data)
    if layout.workers == 1:
        return Mesh(replica=0, stage=0, has_loss=True, everyone=None, data=None, pipeline=None)
    backend = "nccl" if device.type == "cuda" and dist.get_backend() != "gloo" else "gloo"
    grid = [[s * layout.data + r for r in range(layout.data)] for s in range(layout.pipeline)]
    everyone = dist.new_group(backend=backend)
    data = pipeline = everyone
    if layout.data > 1 and layout.pipeline > 1:
        data = [dist.new_group(ranks, backend=backend) for ranks in grid][stage]
        pipeline = [dist.new_group(list(ranks), backend=backend) for ranks in zip(*grid, strict=True)][replica]
    return Mesh(
        replica=replica,
        stage=stage,
        has_loss=stage == layout.pipeline - 1,
        everyone=everyone,
        data=data if layout.data > 1 else None,
        pipeline=pipeline if layout.pipeline > 1 else None,
    )
