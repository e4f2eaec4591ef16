"""A table of learning curves as a function: the main shapes of all curves, and a surrogate of each shape's share.

A curve's logarithm is the mean of all plus a few principal components; the share of each comes from a surrogate that is
no Gaussian process (benchmarks/optimizers/tasks/surrogate.py). Legend: n runs, f features, e epochs, c components.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.optimizers.spaces import Config, Space
from benchmarks.optimizers.tasks import surrogate

Array = npt.NDArray[np.float64]

FOLDER = Path(__file__).parent / "tables"

COMPONENTS = 4  # the fifth has less than a hundredth of the variance in all three tables


class Table:
    """The curve of a kind of training as a function of its hyperparameters."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as arrays:
            self.space = Space.from_data(json.loads(str(arrays["space"])))
            self._mean_e = arrays["mean_e"].astype(np.float64)
            self._shapes_ce = arrays["shapes_ce"].astype(np.float64)
            self._bounds_2e = arrays["bounds_2e"].astype(np.float64)
            self._shares = [surrogate.from_arrays(_under(arrays, f"{i}.")) for i in range(len(self._shapes_ce))]
        self.epochs = len(self._mean_e)

    def __call__(self, config: Config) -> Array:
        """Losses after each epoch, shape (e,); within what was recorded at that epoch."""
        x_f = np.array(self.space.features(config))
        share_c = np.array([share.predict(x_f) for share in self._shares])
        return np.asarray(np.exp(np.clip(self._mean_e + share_c @ self._shapes_ce, *self._bounds_2e)))


@cache
def table(name: str) -> Table:
    """A table by its name; read once."""
    return Table(name)


def write(name: str, space: Space, configs: Sequence[Config], curves_ne: Array) -> str:
    """Fit and write a table; returns how good it is: each component's share of variance, and its R2 when left out."""
    X_nf = np.array([space.features(config) for config in configs])
    logs_ne = np.log(curves_ne)
    mean_e = logs_ne.mean(axis=0)
    _, size_c, shapes_ce = np.linalg.svd(logs_ne - mean_e, full_matrices=False)
    variance_c = (size_c**2 / np.sum(size_c**2))[:COMPONENTS]
    share_nc = (logs_ne - mean_e) @ shapes_ce[:COMPONENTS].T
    arrays: dict[str, Any] = {
        "space": np.array(json.dumps(space.to_data())),
        "mean_e": mean_e.astype(np.float32),
        "shapes_ce": shapes_ce[:COMPONENTS].astype(np.float32),
        "bounds_2e": np.array([logs_ne.min(axis=0), logs_ne.max(axis=0)], dtype=np.float32),
    }
    said = []
    for i, share_n in enumerate(share_nc.T):
        fitted, r2 = surrogate.fit(X_nf, share_n)
        arrays |= {f"{i}.{key}": value for key, value in surrogate.to_arrays(fitted).items()}
        said.append(f"{variance_c[i]:.3f} ({r2:.2f})")
    path = FOLDER / f"{name}.npz"
    np.savez_compressed(path, **arrays)
    return f"{len(configs)} runs, variance (R2) {', '.join(said)}, {path.stat().st_size} B"


def _under(arrays: Any, prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}
