"""Train what the tables hold and fit their surrogates: `python -m benchmarks.optimizers.tasks.make_tables`.

Four minutes of one thread. The tables are in the repository; making them anew with another scikit-learn changes tasks
a little and makes earlier results incomparable.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.optimizers.spaces import Config, Space
from benchmarks.optimizers.tasks import surrogate
from benchmarks.optimizers.tasks.trainings import EARLIER, TRAININGS, Data, Training

FOLDER = Path(__file__).parent / "tables"

_ANYWHERE = 0.6  # of the runs; the others are near good ones, where optimizers will spend their trials
_GOOD = 0.1
_STEP_SD = 0.12  # of a coordinate of the unit cube


def table(training: Training, *, everywhere: bool = False) -> tuple[list[Config], list[float]]:
    """Configurations and their losses; `everywhere` leaves out the second, closer round."""
    data, rng = training.data(), random.Random(training.name)
    count = training.runs if everywhere else round(_ANYWHERE * training.runs)
    configs = [training.space.sample(rng) for _ in range(count)]
    losses = list(_losses(training, configs, data))
    order = sorted(range(count), key=losses.__getitem__)[: max(1, round(_GOOD * count))]
    near = [_near(training.space, configs[rng.choice(order)], rng) for _ in range(training.runs - count)]
    return configs + near, losses + list(_losses(training, near, data))


def _losses(training: Training, configs: list[Config], data: Data) -> Iterator[float]:
    return (float(f"{training.loss(config, data):.6g}") for config in configs)


def _near(space: Space, config: Config, rng: random.Random) -> Config:
    """A neighbour: half of the coordinates moved, a tenth of them anywhere."""
    units = []
    for parameter in space:
        anywhere = parameter.name not in config or rng.random() < 0.1
        unit = rng.random() if anywhere else parameter.to_unit(config[parameter.name])
        if not anywhere and parameter.kind != "choice" and rng.random() < 0.5:
            unit += rng.gauss(0, _STEP_SD)
        units.append(unit)
    return space.decode(units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    wanted = parser.parse_args().names
    FOLDER.mkdir(exist_ok=True)
    for training in (*TRAININGS, *EARLIER):
        if wanted and training.name not in wanted:
            continue
        began = time.process_time()
        if training in EARLIER:
            _write_runs(training)
            report = "runs alone"
        else:
            report = _write_surrogate(training)
        print(f"{training.name}: {training.runs} runs, {time.process_time() - began:.0f} CPU s, {report}", flush=True)


def _write_surrogate(training: Training) -> str:
    configs, losses = table(training)
    X_nf = np.array([training.space.features(config) for config in configs])
    y_n = np.array(losses)
    fitted, r2 = surrogate.fit(X_nf, np.log(y_n) if training.logarithm else y_n)
    meta = {"space": training.space.to_data(), "logarithm": training.logarithm, "r2": round(r2, 3)}
    path = FOLDER / f"{training.name}.npz"
    arrays: dict[str, Any] = {"meta": np.array(json.dumps(meta)), **surrogate.to_arrays(fitted)}
    np.savez_compressed(path, **arrays)
    shares = ", ".join(f"{weight:.2f}" for weight in fitted.weights)
    return f"losses {y_n.min():.4g} to {y_n.max():.4g}, R2 left out {r2:.3f}, weights {shares}, {path.stat().st_size} B"


def _write_runs(training: Training) -> None:
    configs, losses = table(training, everywhere=True)
    text = json.dumps({"configs": configs, "losses": losses})
    (FOLDER / f"{training.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
