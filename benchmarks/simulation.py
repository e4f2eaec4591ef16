"""What a study costs per entry of its log when nothing is trained, on a virtual clock.

python benchmarks/simulation.py [--trials 10000] [--workers 1000] [--scheduler asha] [--every 5000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import paretune as pt
from paretune.log import Log
from paretune.records import Entry, Metrics
from paretune.study import StudySpec

EPOCHS = 27


def blackbox(config: Mapping[str, Any], resource: float) -> tuple[Metrics, float]:
    """A learning curve towards a floor that the configuration sets, and the seconds it takes to get there."""
    lr, layers = config["lr"], config["layers"]
    floor = (lr - 0.3) ** 2 + 0.02 * abs(layers - 7)
    return {"error": floor + 1 / (1 + resource)}, resource * (10 + layers)


class Meter:
    """Prints CPU time per entry, every so many entries."""

    def __init__(self, every: int) -> None:
        self._every, self._entries = every, 0
        self._cpu_s = time.process_time()

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._cpu_s = time.process_time()

    def on_entry(self, entry: Entry) -> None:
        self._entries += 1
        if self._entries % self._every == 0:
            now_s = time.process_time()
            print(f"to entry {self._entries:,}: {1e6 * (now_s - self._cpu_s) / self._every:.0f} us each", flush=True)
            self._cpu_s = now_s

    def on_end(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--scheduler", default="asha")
    parser.add_argument("--every", type=int, default=5_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spec = {
            "name": "simulated",
            "objectives": {"error": "minimize"},
            "space": {"lr": pt.Float(0, 1), "layers": pt.Int(2, 12), "a": pt.Float(0, 1), "b": pt.Float(0, 1)},
            "search": {"algorithm": "random", "scheduler": given.scheduler, "trials": given.trials, "seed": 1},
            "train": {"epochs": EPOCHS},
            "store": folder,
        }
        began_s = time.process_time()
        study = pt.simulate(spec, blackbox, workers=given.workers, listeners=[Meter(given.every)])
        cpu_s, entries = time.process_time() - began_s, study.log.entries
        ended = Counter(trial.status for trial in study.trials)
        print(f"{len(entries):,} entries in {cpu_s:.1f} CPU s; {dict(ended)}")


if __name__ == "__main__":
    main()
