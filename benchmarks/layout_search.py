"""What the arithmetic of layouts gains a search of layouts: trials to the best one, and trials lost for want of memory.

    python -m benchmarks.layout_search --seeds 10

Eight workers and an invented machine, on which speed and memory follow the arithmetic only roughly: small pieces are
slow, exchanges take time, results are noisy. `limit`: memory is reported and has a limit. `oom`: a trial beyond it
fails and says nothing else. `known` is the search as it is, `nothing` knows no figures, `wrong` has those of layouts
drawn at random.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import statistics
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

import numpy as np

import paretune as pt
from paretune import study
from paretune.algorithms._gp import analytic, knowledge
from paretune.layouts import LayoutSpec
from paretune.space import Space
from paretune.train import Layout

WORKERS, BATCH, LIMIT_MB, NEAR = 8, 256, 9000.0, 0.95
SECTION = {
    "pipeline": pt.Choice([1, 2, 4, 8]),
    "microbatches": pt.Choice([2, 4, 8, 16, 32]),
    "schedule": pt.Choice(["gpipe", "1f1b", "interleaved1f1b", "zerobubble"]),
    "stages_per_worker": pt.Choice([2, 4]),
    "shard": pt.Choice(["ddp", "fsdp", "none"]),
    "activation_checkpointing": pt.Choice([False, True]),
}
EXCHANGE = {"ddp": 0.93, "fsdp": 0.86, "none": 0.88}


Machine = Mapping[Layout, tuple[float, float]]
"""Tokens per second and the memory in MB."""


def tokens_per_s(layout: Layout) -> float:
    piece = BATCH / layout.data / layout.microbatches
    exchanged = EXCHANGE[layout.shard] if layout.data > 1 else 1.0
    bubble = 0.7 * layout.bubble() if layout.schedule == "zerobubble" else layout.bubble()
    again = 0.79 if layout.activation_checkpointing else 1.0
    return 5e4 * (1 - bubble) * again * piece / (piece + 2) * exchanged * math.pow(0.985, layout.stages - 1)


def peak_memory_mb(layout: Layout) -> float:
    whole = 1000 + 16_000 * layout.states_share() + 60_000 * math.pow(layout.activations_share(), 0.9)
    return whole * (1.15 if layout.shard == "none" and layout.data > 1 else 1.0)


def spec() -> study.StudySpec:
    data = {
        "name": "layouts", "trainable": "cnn", "objectives": {"tokens_per_s": "maximize"},
        "space": {"lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True}},
        "layout": SECTION, "train": {"workers": WORKERS},
    }  # fmt: skip
    return study.build(data, where="benchmark")


def all_layouts(space: Space, section: LayoutSpec) -> list[Layout]:
    (group,) = space.legality.groups
    found = []
    for x_k in group.pool_pk:
        x_d = np.full(len(space), 0.5)
        x_d[group.places] = x_k
        found.append(section.layout(space.decode(x_d)))
    return found


def shuffled(layouts: list[Layout], seed: int) -> Mapping[str, Any]:
    """The figures of other layouts, for each kind of figure of others."""
    patches = {}
    for name in ("efficiency", "states_share", "activations_share"):
        figures = [getattr(layout, name)() for layout in layouts]
        np.random.default_rng([seed, len(name)]).shuffle(figures)
        table = dict(zip(layouts, figures, strict=True))
        patches[name] = lambda self, table=table: table[self]
    return patches


def searched(task: str, machine: Machine, *, seed: int, trials: int) -> tuple[int, int]:
    """Trials until one is near the best, and those beyond the memory."""
    read = spec()
    assert read.layout is not None
    best = max(speed for speed, memory in machine.values() if memory <= LIMIT_MB)
    limits = {"peak_memory_mb": {"max": LIMIT_MB}} if task == "limit" else None
    opt = pt.Optimizer(read.space, {"tokens_per_s": "maximize"}, limits=limits, seed=seed)
    rng = np.random.default_rng(seed)
    first, lost = trials + 1, 0
    for number in range(1, trials + 1):
        suggestion = opt.ask()
        speed, memory = machine[read.layout.layout(suggestion.config)]
        lost += memory > LIMIT_MB
        if memory > LIMIT_MB and task == "oom":
            opt.tell(suggestion, status="failed")
            continue
        opt.tell(suggestion, {"tokens_per_s": speed * rng.normal(1, 0.02), "peak_memory_mb": memory})
        if memory <= LIMIT_MB and speed >= NEAR * best:
            first = min(first, number)
    return first, lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--tasks", nargs="+", default=["limit", "oom"])
    parser.add_argument("--figures", nargs="+", default=["known", "nothing", "wrong"])
    settings = parser.parse_args()
    read = spec()
    assert read.layout is not None
    layouts = all_layouts(read.space, read.layout)
    machine = {layout: (tokens_per_s(layout), peak_memory_mb(layout)) for layout in layouts}
    fits = [speed for speed, memory in machine.values() if memory <= LIMIT_MB]
    good = sum(speed >= NEAR * max(fits) for speed in fits)
    print(f"{len(layouts)} layouts, {len(fits)} within the memory, {good} within {1 - NEAR:.0%} of the best")
    print("task   figures  trials to the best (median, mean)   lost for memory (mean)   per seed")
    for task, figures in itertools.product(settings.tasks, settings.figures):
        results, began = [], time.perf_counter()
        for seed in range(settings.seeds):
            with contextlib.ExitStack() as patches:
                if figures == "nothing":
                    patches.enter_context(mock.patch.object(analytic, "_kind", return_value=None))
                    patches.enter_context(mock.patch.object(knowledge, "memory_shares", return_value=None))
                elif figures == "wrong":
                    patches.enter_context(mock.patch.multiple(Layout, **shuffled(layouts, seed)))
                results.append(searched(task, machine, seed=seed, trials=settings.trials))
        firsts, lost = zip(*results, strict=True)
        print(
            f"{task:6} {figures:8} {statistics.median(firsts):6.1f} {statistics.mean(firsts):6.1f}"
            f" {statistics.mean(lost):28.1f}    {list(firsts)}  {list(lost)}  {time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
