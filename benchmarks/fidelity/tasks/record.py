"""Train what the tables hold: `python -m benchmarks.fidelity.tasks.record [NAME ...]`.

A quarter of an hour of one thread. The tables are in the repository; making them anew with another torch or
scikit-learn changes tasks a little and makes earlier results incomparable.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np
import torch

from benchmarks.fidelity.tasks import curves
from benchmarks.fidelity.tasks.curves import Array
from benchmarks.fidelity.tasks.trainings import TRAININGS, Training
from benchmarks.optimizers.references import moved
from benchmarks.optimizers.spaces import Config

_ANYWHERE = 0.6  # of the runs; the others are near good ones, where a search spends its trials
_GOOD = 0.1
_STEP = 0.12  # of a coordinate of the unit cube


def record(training: Training) -> tuple[list[Config], Array]:
    """Configurations and their curves, shape (n, e); what is good is good at the end."""
    rng = random.Random(training.name)
    configs = [training.space.sample(rng) for _ in range(round(_ANYWHERE * training.runs))]
    found = [training.curve(config) for config in configs]
    order = sorted(range(len(configs)), key=lambda i: float(found[i][-1]))[: round(_GOOD * len(configs))]
    while len(configs) < training.runs:
        near = moved(training.space, configs[rng.choice(order)], rng, size=_STEP)
        configs.append(near)
        found.append(training.curve(near))
    return configs, np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    wanted = parser.parse_args().names
    torch.set_num_threads(1)
    for training in TRAININGS:
        if wanted and training.name not in wanted:
            continue
        began_s = time.process_time()
        configs, curves_ne = record(training)
        said = curves.write(training.name, training.space, configs, curves_ne)
        print(f"{training.name}: {said}, {time.process_time() - began_s:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
