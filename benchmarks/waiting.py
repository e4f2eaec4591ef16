"""How much of the workers' time goes by while they wait for a suggestion.

python benchmarks/waiting.py simulated [--workers 64] [--trials 320] [--even]    `gp`, one-minute trials, virtual clock
python benchmarks/waiting.py real [--gangs 4] [--trials 24] [--seconds 20]       `gp` and `random` on a local Ray

On the virtual clock a suggestion takes as long as it takes to compute here, in CPU seconds; trials take a minute on
average (lognormal, standard deviation .3 of the logarithm; `--even`: a minute each, so that all workers become free at
once). On Ray what `random` waits is what it takes to start a trial, whatever is suggested.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

import paretune as pt
from paretune.log import Log
from paretune.records import ENDINGS, Event, Metrics
from paretune.space import Config

SPACE: dict[str, Any] = {
    "lr": pt.Float(1e-5, 1e-1, log=True),
    "layers": pt.Int(2, 12),
    "width": pt.Int(32, 512, log=True, step="power2"),
    "optimizer": pt.Choice(["adamw", "sgd"]),
    "momentum": pt.Float(0.5, 0.99, when={"optimizer": "sgd"}),
}

_SPREAD = 0.3  # of the logarithm of a trial's minutes


def error(config: Mapping[str, Any]) -> float:
    """A bowl."""
    off = math.log10(config["lr"]) + 3 + 0.1 * config["layers"]
    return float(off**2 + 0.1 * abs(config["layers"] - 7) + abs(math.log2(config["width"]) - 7) / 10)


def waiting(log: Log, workers: int) -> float:
    """The share of the workers' time in which they had no trial, from the first start to the last suggestion."""
    events = [entry for entry in log.entries if isinstance(entry, Event)]
    begins_s = next(event.time_s for event in events if event.kind == "started")
    ends_s = max(event.time_s for event in events if event.kind == "suggested")
    busy_s = 0.0
    since_s: dict[int | None, float] = {}
    for event in events:
        if event.kind == "started":
            since_s[event.trial] = event.time_s
        elif event.kind in (*ENDINGS, "paused") and event.trial in since_s:
            busy_s += max(0.0, min(event.time_s, ends_s) - since_s.pop(event.trial))
    busy_s += sum(max(0.0, ends_s - start_s) for start_s in since_s.values())
    return 1 - busy_s / (workers * (ends_s - begins_s))


class Stopwatch:
    """CPU seconds since it was read last."""

    def __init__(self) -> None:
        self._last_s = time.thread_time()
        self.read_s: list[float] = []

    def __call__(self) -> float:
        now_s = time.thread_time()
        self.read_s.append(now_s - self._last_s)
        self._last_s = now_s
        return self.read_s[-1]


def simulated(given: argparse.Namespace) -> None:
    def blackbox(config: Config, resource: float) -> tuple[Metrics, float]:
        draw = np.random.default_rng(crc32(repr(sorted(config.items())).encode())).standard_normal()
        minutes = 1.0 if given.even else math.exp(_SPREAD * draw - _SPREAD**2 / 2)
        return {"error": error(config)}, 60 * minutes * resource

    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        spec = {
            "name": "waiting",
            "objectives": {"error": "minimize"},
            "space": SPACE,
            "search": {"algorithm": "gp", "trials": given.trials, "seed": given.seed},
            "train": {"epochs": 1},
            "store": folder,
        }
        log = pt.simulate(spec, blackbox, workers=given.workers, suggestion_s=stopwatch).log
    low_s, median_s, high_s = np.percentile(stopwatch.read_s, [5, 50, 95])
    print(
        f"{given.workers} workers, {given.trials} trials, seed {given.seed}{', even' if given.even else ''}: "
        f"waiting {waiting(log, given.workers):.2%}; {len(stopwatch.read_s)} computed, "
        f"median {median_s:.2f} s (5 % {low_s:.2f}, 95 % {high_s:.2f})"
    )


def train(config: Mapping[str, Any]) -> None:
    """A second for each epoch."""
    import ray.train

    for _ in range(config["epochs"]):
        time.sleep(1.0)
        ray.train.report({"error": error(config)})


def real(given: argparse.Namespace) -> None:
    import ray

    ray.init(num_cpus=given.gangs * given.ranks, include_dashboard=given.ranks > 1, log_to_driver=False)
    for algorithm in ("random", "gp"):
        with tempfile.TemporaryDirectory() as folder:
            study = pt.search(
                train,
                space=SPACE,
                objectives={"error": "minimize"},
                epochs=given.seconds,
                algorithm=algorithm,
                trials=given.trials,
                concurrency=given.gangs,
                workers=given.ranks,
                seed=given.seed,
                store=folder,
            )
        log = study.log
        spent_s = np.median([trial.suggestion.seconds for trial in log.trials.values()])
        print(
            f"{algorithm}: {given.gangs} gangs of {given.ranks}, {given.trials} trials of {given.seconds} s, seed "
            f"{given.seed}: waiting {waiting(log, given.gangs):.2%}; a suggestion takes {spent_s:.2f} s (median)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    on_clock = kinds.add_parser("simulated")
    on_clock.add_argument("--workers", type=int, default=64)
    on_clock.add_argument("--trials", type=int, default=320)
    on_clock.add_argument("--even", action="store_true")
    on_clock.add_argument("--seed", type=int, default=0)
    on_clock.set_defaults(do=simulated)
    on_ray = kinds.add_parser("real")
    on_ray.add_argument("--gangs", type=int, default=4)
    on_ray.add_argument("--ranks", type=int, default=2, help="workers of each gang")
    on_ray.add_argument("--trials", type=int, default=24)
    on_ray.add_argument("--seconds", type=int, default=20)
    on_ray.add_argument("--seed", type=int, default=0)
    on_ray.set_defaults(do=real)
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
