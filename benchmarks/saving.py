"""How long a checkpoint holds up the training: written in the foreground, and while the training goes on.

    python -m benchmarks.saving --rounds 8

Two DDP workers train a model of 50 MB (with AdamW's state 150 MB in all). Blocks of steps without a checkpoint, with
one that is waited for, and with one that is not take turns; given are medians over the rounds, with quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy

from benchmarks.layouts import in_world
from paretune import train
from paretune.train import Layout

WORKERS, WIDTH, SAMPLES, BLOCK = 2, 1024, 16, 6


def model() -> nn.Sequential:
    """12.6 million weights."""
    torch.manual_seed(0)
    return nn.Sequential(*[layer for _ in range(12) for layer in (nn.Linear(WIDTH, WIDTH), nn.GELU())])


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-4)


def block_s(run: train.Run, batch: tuple[Tensor, Tensor], save: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the call that saves, and of a block of steps with it, until the checkpoint is there."""
    dist.barrier()
    started_s = time.perf_counter()
    save()
    saved_s = time.perf_counter()
    for _ in range(BLOCK):
        run.step(batch)
    run.wait()
    return saved_s - started_s, time.perf_counter() - started_s


def _worker(rank: int, folder: str, rounds: int) -> None:
    torch.set_num_threads(1)
    in_world(rank, WORKERS, Path(folder) / "world")
    draw = torch.Generator().manual_seed(rank)
    batch = torch.randn(SAMPLES, WIDTH, generator=draw), torch.randint(WIDTH, (SAMPLES,), generator=draw)
    times: dict[str, list[tuple[float, float]]] = {"none": [], "waited for": [], "in the background": []}
    with train.prepare(model(), adamw, Layout(data=WORKERS), loss=cross_entropy) as run:
        for number in range(rounds + 1):  # the first is a warm-up
            path = Path(folder) / f"save-{number}"
            times["none"].append(block_s(run, batch, lambda: None))
            times["waited for"].append(block_s(run, batch, partial(run.save, path / "a")))
            times["in the background"].append(block_s(run, batch, partial(run.save, path / "b", wait=False)))
    if rank == 0:
        for name, found in times.items():
            call, block = zip(*found[1:], strict=True)
            print(f"{name:>18}: the call takes {_spread(call)} ms, the block of {BLOCK} steps {_spread(block)} ms")
    dist.destroy_process_group()


def _spread(seconds: tuple[float, ...]) -> str:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return f"{middle * 1e3:.0f} ({low * 1e3:.0f}-{high * 1e3:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, args=(folder, rounds), nprocs=WORKERS)


if __name__ == "__main__":
    main()
