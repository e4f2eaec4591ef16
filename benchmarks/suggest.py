"""Seconds of one thread to compute one suggestion with `gp`, by the number of finished trials.

python benchmarks/suggest.py --repeats 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import paretune as pt

FLOATS: dict[str, Any] = {f"x{i}": pt.Float(0, 1) for i in range(5)}
MIXED: dict[str, Any] = {
    "lr": pt.Float(1e-5, 1e-1, log=True),
    "layers": pt.Int(2, 12),
    "width": pt.Int(32, 512, log=True, step="power2"),
    "optimizer": pt.Choice(["adamw", "sgd"]),
    "momentum": pt.Float(0.5, 0.99, when={"optimizer": "sgd"}),
}


def optimizer(space: dict[str, Any], *, objectives: int, trials: int, seed: int) -> pt.Optimizer:
    """An optimizer that has seen random configurations of a smooth function of the unit cube."""
    made = pt.Optimizer(space, {f"y{j}": "minimize" for j in range(objectives)}, algorithm="gp", seed=seed)
    known = pt.Space.from_dict(space)
    rng = np.random.default_rng(seed)
    centres_md = rng.uniform(size=(objectives, len(known)))
    for _ in range(trials):
        config = known.decode(rng.uniform(size=len(known)))
        x_d = known.encode(config)
        made.add(config, {f"y{j}": float(np.sum((x_d - centres_md[j]) ** 2)) for j in range(objectives)})
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 50, 100, 200])
    arguments = parser.parse_args()
    optimizer(FLOATS, objectives=2, trials=12, seed=0).ask()  # imports and first calls
    print("space   objectives  " + "  ".join(f"n={n:<5}" for n in arguments.sizes) + " (median CPU seconds)")
    for name, space in (("floats", FLOATS), ("mixed", MIXED)):
        for objectives in (1, 2):
            row = []
            for trials in arguments.sizes:
                spent = []
                for seed in range(arguments.repeats):
                    asked = optimizer(space, objectives=objectives, trials=trials, seed=seed)
                    began = time.process_time()
                    asked.ask()
                    spent.append(time.process_time() - began)
                row.append(statistics.median(spent))
            print(f"{name:<8}{objectives:^10}  " + "  ".join(f"{seconds:<7.2f}" for seconds in row), flush=True)


if __name__ == "__main__":
    main()
