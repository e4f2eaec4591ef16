"""Real training runs of scikit-learn, as surrogates of their tables (see trainings.py and surrogate.py)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.optimizers.spaces import Config, Space
from benchmarks.optimizers.tasks import surrogate
from benchmarks.optimizers.tasks._base import Task

FOLDER = Path(__file__).parent / "tables"

NAMES = (
    "forest_diabetes",
    "boosting_friedman1",
    "vectors_cancer",
    "network_digits",
    "gradient_regression",
    "neighbours_wine",
    "penalised_diabetes",
)


class Table:
    """The loss of a kind of model as a function of its hyperparameters."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as arrays:
            meta = json.loads(str(arrays["meta"]))
            self._surrogate = surrogate.from_arrays(arrays)
        self.space = Space.from_data(meta["space"])
        self._logarithm: bool = meta["logarithm"]

    def __call__(self, config: Config) -> float:
        predicted = self._surrogate.predict(np.array(self.space.features(config)))
        return float(np.exp(predicted)) if self._logarithm else predicted


@cache
def table(name: str) -> Table:
    """A table by its name; read once."""
    return Table(name)


def tasks() -> list[Task]:
    return [Task(name=name, space=table(name).space, function=table(name)) for name in NAMES]
