"""What `train.prepare` adds to a step: against a hand-written DDP loop on the same model in the same two processes.

    python -m benchmarks.step_overhead --rounds 20

Blocks of steps take turns, each side first every other time, so that what else the machine does meets both alike; given
is the median over blocks of the ratio, with its quartiles, and the ratio of each side's quickest block, which other
jobs have disturbed least. Both return the loss as a number; only ours is that of all workers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from benchmarks.layouts import in_world
from paretune import train
from paretune.train import Layout

WORKERS, WIDTH, SAMPLES, BLOCK = 2, 512, 256, 10


def model() -> nn.Sequential:
    """About a million weights."""
    torch.manual_seed(0)
    return nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(WIDTH, WIDTH), nn.GELU())])


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-3)


def by_hand(x: Tensor, y: Tensor) -> Callable[[], float]:
    net = DistributedDataParallel(model(), gradient_as_bucket_view=True)
    update = adamw(list(net.parameters()))

    def step() -> float:
        update.zero_grad()
        loss = cross_entropy(net(x), y)
        loss.backward()
        update.step()
        return loss.item()

    return step


def block_s(step: Callable[[], float]) -> float:
    """Seconds per step of one block, on all workers together."""
    dist.barrier()
    started_s = time.perf_counter()
    for _ in range(BLOCK):
        step()
    return (time.perf_counter() - started_s) / BLOCK


def pair_s(plain: Callable[[], float], ours: Callable[[], float], *, swapped: bool) -> tuple[float, float]:
    """Seconds per step of a block of each, one right after the other."""
    if swapped:
        ours_s = block_s(ours)
        return block_s(plain), ours_s
    return block_s(plain), block_s(ours)


def _worker(rank: int, folder: str, rounds: int) -> None:
    torch.set_num_threads(1)
    in_world(rank, WORKERS, Path(folder) / "world")
    draw = torch.Generator().manual_seed(rank)
    x, y = torch.randn(SAMPLES, WIDTH, generator=draw), torch.randint(WIDTH, (SAMPLES,), generator=draw)
    plain = by_hand(x, y)
    with train.prepare(model(), adamw, Layout(data=WORKERS), loss=cross_entropy) as run:

        def ours() -> float:
            return run.step((x, y))

        block_s(plain), block_s(ours)  # connections and memory
        times = [pair_s(plain, ours, swapped=round_ % 2 == 1) for round_ in range(rounds)]
    if rank == 0:
        quickest = min(b for _, b in times) / min(a for a, _ in times)
        low, middle, high = statistics.quantiles([b / a for a, b in times], n=4)
        print(
            f"by hand {statistics.median(a for a, _ in times) * 1e3:.1f} ms, ours / by hand {middle:.3f} "
            f"(quartiles {low:.3f} to {high:.3f}), of the quickest blocks {quickest:.3f}; "
            f"{rounds} blocks of {BLOCK} steps, load {os.getloadavg()[0]:.1f}"
        )
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, args=(folder, rounds), nprocs=WORKERS)


if __name__ == "__main__":
    main()
