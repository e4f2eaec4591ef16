"""From one distributed trial's end to the next one's: on a gang, and with a TorchTrainer for each, in one run.

    python -m benchmarks.turn_around --rounds 3

The loop is the same on both sides: two workers, five reports, one all-reduce before each. Rounds take turns, so that
what else the machine does meets both alike. A gang's figure is (last end - first end) / (trials - 1) of a study, with
its store; what its start costs is given beside it. A TorchTrainer's is the time of one `fit`.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time

import ray
from ray import train
from ray.train.torch import TorchTrainer

from benchmarks.overhead import five_reports, paretune


def fit_s(folder: str) -> float:
    """Seconds of one trial as a TorchTrainer of its own."""
    started_s = time.perf_counter()
    TorchTrainer(
        five_reports,
        train_loop_config={"x": 0.5},
        scaling_config=train.ScalingConfig(num_workers=2),
        run_config=train.RunConfig(storage_path=folder),
    ).fit()
    return time.perf_counter() - started_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of each study")
    parser.add_argument("--rounds", type=int, default=3, help="studies, and trainers")
    chosen = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    ray.init(address="local", num_cpus=4, log_to_driver=False, logging_level=logging.ERROR)
    ratios = []
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            alone_s = fit_s(folder)
            gang = paretune(five_reports, trials=chosen.trials, concurrency=1, workers=2, folder=folder)
        ratios.append(alone_s / gang.per_trial_s)
        print(
            f"TorchTrainer {alone_s:.2f} s, gang {gang.per_trial_s:.4f} s a trial (started in {gang.first_s:.0f} s): "
            f"{ratios[-1]:.0f} times, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    ray.shutdown()
    print(f"median of {chosen.rounds} rounds: {statistics.median(ratios):.0f} times faster (least {min(ratios):.0f})")


if __name__ == "__main__":
    main()
