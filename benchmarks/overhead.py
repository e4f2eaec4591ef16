"""Seconds per trial beyond the training itself: paretune against Ray Tune as its documentation has it.

    inline        no-op trials with one worker and one report; bare side: a function trainable, reuse_actors=True
    distributed   two-worker trials with five reports; bare side: a TorchTrainer inside a Tune function

Both sides run on one Ray, one after the other, in turns. The figure is (last end - first end) / (trials - 1): what a
trial costs once everything is up; the time until the first trial's end is given beside it.

    python benchmarks/overhead.py inline --trials 200 --rounds 3
    python benchmarks/overhead.py distributed --trials 20
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray import train, tune

import paretune as pt

REPORTS = 5


@dataclass(frozen=True)
class Measured:
    """Seconds until the first trial ended, and per trial after that."""

    first_s: float
    per_trial_s: float


def noop(config: dict[str, Any]) -> None:
    train.report({"value": config["x"]})


def tune_noop(config: dict[str, Any]) -> None:
    tune.report({"value": config["x"]})


def five_reports(config: dict[str, Any]) -> None:
    import torch

    for step in range(REPORTS):
        total = torch.ones(1)
        torch.distributed.all_reduce(total)
        train.report({"value": config["x"], "step": step, "world": total.item()})


def torch_trainer_in_tune(config: dict[str, Any]) -> None:
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    callback: Any = TuneReportCallback  # which has no annotations
    TorchTrainer(
        five_reports,
        train_loop_config=config,
        scaling_config=train.ScalingConfig(num_workers=2),
        run_config=train.RunConfig(storage_path=config["storage"], callbacks=[callback()]),
    ).fit()


class EndTimes(tune.Callback):
    """When each trial ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.ends.append(time.time())


def bare(trainable: Any, *, trials: int, concurrency: int, folder: str) -> Measured:
    """Ray Tune alone."""
    ends = EndTimes()
    began = time.time()
    results = tune.Tuner(
        trainable,
        param_space={"x": tune.uniform(0, 1), "storage": folder},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=concurrency, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=folder, callbacks=[ends], verbose=0),
    ).fit()
    assert len(results) == trials
    assert not results.errors
    return _measured(began, ends.ends)


def paretune(loop: Any, *, trials: int, concurrency: int, workers: int, folder: str) -> Measured:
    """The same trials as a study, with its store."""
    began = time.time()
    study = pt.search(
        loop,
        space={"x": pt.Float(0, 1)},
        objectives={"value": "minimize"},
        algorithm="random",
        trials=trials,
        concurrency=concurrency,
        workers=workers,
        store=folder,
        name=f"study-{time.time_ns()}",
        progress=False,
    )
    assert [trial.status for trial in study.trials] == ["completed"] * trials
    return _measured(began, [trial.ended_s for trial in study.trials if trial.ended_s is not None])


def _measured(began: float, ends: list[float]) -> Measured:
    return Measured(min(ends) - began, (max(ends) - min(ends)) / (len(ends) - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["inline", "distributed"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1, help="how often both sides take turns")
    arguments = parser.parse_args()
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(address="local", num_cpus=4, log_to_driver=False, logging_level=logging.ERROR)
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            if arguments.kind == "inline":
                theirs.append(bare(tune_noop, trials=arguments.trials, concurrency=2, folder=folder))
                ours.append(paretune(noop, trials=arguments.trials, concurrency=2, workers=1, folder=folder))
            else:
                theirs.append(bare(torch_trainer_in_tune, trials=arguments.trials, concurrency=1, folder=folder))
                ours.append(paretune(five_reports, trials=arguments.trials, concurrency=1, workers=2, folder=folder))
        print(json.dumps({"bare": vars(theirs[-1]), "paretune": vars(ours[-1])}), flush=True)
    ray.shutdown()
    their_s, our_s = (statistics.median(m.per_trial_s for m in side) for side in (theirs, ours))
    print(f"{arguments.kind}, {arguments.trials} trials, {arguments.rounds} round(s), median seconds per trial:")
    print(f"  bare Ray Tune {their_s:.4f}   paretune {our_s:.4f}   ratio bare / paretune {their_s / our_s:.2f}")
    print(f"  first trial's end after: bare {theirs[0].first_s:.1f} s, paretune {ours[0].first_s:.1f} s")


if __name__ == "__main__":
    main()
