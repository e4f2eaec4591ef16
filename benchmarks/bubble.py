"""The idle share of a pipeline against its formula, with layers that sleep: exact also on few cores.

    python -m benchmarks.bubble

Each layer sleeps in its forward pass, and for twice as long in its backward pass. Formula: `Layout.bubble`,
(p - 1) / (v m + p - 1). On a busy machine sleepers wake late: take longer naps (--forward-s 0.2).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from benchmarks.layouts import in_world
from paretune import train
from paretune.train import Layout

STEPS = 2  # after one that is not counted
SAMPLES = 16


class _Sleep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, nap_s: float) -> Tensor:
        ctx.nap_s = nap_s
        time.sleep(nap_s)
        return x * weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        time.sleep(2 * ctx.nap_s)
        return grads[0], grads[0].sum(), None


class Sleeping(nn.Module):
    """(B, 1) -> (B, 1)."""

    def __init__(self, nap_s: float) -> None:
        super().__init__()
        self.nap_s = nap_s
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x_B1: Tensor) -> Tensor:
        y_B1: Tensor = _Sleep.apply(x_B1, self.weight, self.nap_s)  # type: ignore[no-untyped-call]
        return y_B1


def measure(layout: Layout, nap_s: float) -> float:
    """The measured idle share, of all workers."""
    layers = [Sleeping(nap_s) for _ in range(layout.stages)]
    x_B1 = torch.ones(SAMPLES, 1)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean()

    def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.0)

    with train.prepare(layers, sgd, layout, loss=loss, cuts=range(layout.stages)) as run:
        for _ in range(1 + STEPS):
            run.step((x_B1, x_B1))
        assert run.stats.bubble is not None
        return run.stats.bubble


def layouts(workers: int, microbatches: list[int]) -> Iterator[Layout]:
    for count in microbatches:
        yield Layout(pipeline=workers, schedule="gpipe", microbatches=count)
        if count >= workers:
            yield Layout(pipeline=workers, schedule="1f1b", microbatches=count)
            yield Layout(pipeline=workers, schedule="interleaved1f1b", stages_per_worker=2, microbatches=count)


def _worker(rank: int, folder: str, microbatches: list[int], nap_s: float) -> None:
    torch.set_num_threads(1)
    for workers in (2, 4):
        if in_world(rank, workers, Path(folder) / f"world-{workers}"):
            for layout in layouts(workers, microbatches):
                found = measure(layout, nap_s)
                if rank == 0:
                    row = (layout.schedule, workers, layout.microbatches, f"{layout.bubble():.3f}", f"{found:.3f}")
                    print(f"| {' | '.join(map(str, row))} |", flush=True)
            dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--microbatches", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--forward-s", type=float, default=0.02)
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| schedule | workers | microbatches | formula | measured |\n| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, args=(folder, chosen.microbatches, chosen.forward_s), nprocs=4)


if __name__ == "__main__":
    main()
