"""A table of training runs as a function: a forest, near neighbours and a quadratic, stacked.

Nothing here is a Gaussian process, so that optimizers that model with one are not favoured. The three are fitted by
`fit` (scikit-learn; only needed to make the tables) and predicted by NumPy alone, so a task's values do not depend on
a library's version. Legend: n runs, f features (see `Space.features`), t trees, p quadratic terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TREES = 24  # 16 and 48 gave the same out-of-fold error to the second digit; the file's size grows with it
NEIGHBOURS = 7


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Predicts one number from features; `weights` are the shares of forest, neighbours and quadratic."""

    split_feature: npt.NDArray[np.int64]  # of all nodes of all trees; -1 at a leaf
    split_at: Array
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    node_value: Array
    roots_t: npt.NDArray[np.int64]
    X_nf: Array
    y_n: Array
    scale_f: Array  # of distances: how much each feature matters to the forest
    quadratic_p: Array
    weights: Array
    bounds: Array  # the least and greatest y; predictions stay within

    def predict(self, x_f: Array) -> float:
        parts = (self._forest, self._neighbours, self._quadratic)
        total = sum(weight * part(x_f) for weight, part in zip(self.weights.tolist(), parts, strict=True) if weight)
        return float(min(max(total, self.bounds[0]), self.bounds[1]))

    def _quadratic(self, x_f: Array) -> float:
        return float(quadratic_terms(x_f) @ self.quadratic_p)

    def _forest(self, x_f: Array) -> float:
        node_t = self.roots_t.copy()
        while True:
            feature_t = self.split_feature[node_t]
            inner_t = feature_t >= 0
            if not inner_t.any():
                return float(self.node_value[node_t].mean())
            goes_left_t = x_f[feature_t] <= self.split_at[node_t]
            node_t = np.where(inner_t, np.where(goes_left_t, self.left[node_t], self.right[node_t]), node_t)

    def _neighbours(self, x_f: Array) -> float:
        """Shepard's inverse-distance mean (1968) of the nearest runs, the farthest faded out: it is continuous."""
        squared_n = np.sum(((self.X_nf - x_f) * self.scale_f) ** 2, axis=1)
        near = np.argpartition(squared_n, NEIGHBOURS)[: NEIGHBOURS + 1]
        distance = np.sqrt(squared_n[near])
        radius = distance.max() + 1e-12
        weight = ((radius - distance) / (radius * distance + 1e-9)) ** 2 + 1e-12
        return float(weight @ self.y_n[near] / weight.sum())


def quadratic_terms(x_f: Array) -> Array:
    """1, every feature, and every product of two; shape (..., p)."""
    upper = np.triu_indices(x_f.shape[-1])
    products = x_f[..., upper[0]] * x_f[..., upper[1]]
    return np.concatenate([np.ones((*x_f.shape[:-1], 1)), x_f, products], axis=-1)


def fit(X_nf: Array, y_n: Array, *, seed: int = 0) -> tuple[Surrogate, float]:
    """The surrogate of a table, and its R2 on runs that were left out.

    The weights are the non-negative least squares of out-of-fold predictions (Breiman, 1996: stacked regressions).
    """
    from scipy.optimize import nnls

    folds_n = np.random.default_rng(seed).permutation(len(y_n)) % 5
    parts_n3 = np.empty((len(y_n), 3))
    for fold in range(5):
        held = folds_n == fold
        part = _parts(X_nf[~held], y_n[~held], seed=seed)
        parts_n3[held] = [(part._forest(x), part._neighbours(x), part._quadratic(x)) for x in X_nf[held]]
    weights, _ = nnls(parts_n3 - y_n.mean(), y_n - y_n.mean())
    weights = weights / weights.sum()
    left_out = np.clip(parts_n3 @ weights, y_n.min(), y_n.max())
    r2 = 1 - np.sum((left_out - y_n) ** 2) / np.sum((y_n - y_n.mean()) ** 2)
    return _parts(X_nf, y_n, seed=seed, weights=weights), float(r2)


def _parts(X_nf: Array, y_n: Array, *, seed: int, weights: Array | None = None) -> Surrogate:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    forest = ExtraTreesRegressor(TREES, min_samples_leaf=3, random_state=seed).fit(X_nf, y_n)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    starts = np.cumsum([0] + [tree.node_count for tree in trees[:-1]])
    quadratic = Ridge(alpha=1.0, fit_intercept=False).fit(quadratic_terms(X_nf), y_n)
    return Surrogate(
        split_feature=np.concatenate([np.where(tree.feature < 0, -1, tree.feature) for tree in trees]).astype(np.int64),
        split_at=np.concatenate([tree.threshold for tree in trees]).astype(np.float32).astype(np.float64),
        left=np.concatenate([tree.children_left + start for tree, start in zip(trees, starts, strict=True)]),
        right=np.concatenate([tree.children_right + start for tree, start in zip(trees, starts, strict=True)]),
        node_value=np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        roots_t=starts.astype(np.int64),
        X_nf=X_nf,
        y_n=y_n,
        scale_f=np.sqrt(forest.feature_importances_ + 0.01),
        quadratic_p=quadratic.coef_,
        weights=np.full(3, 1 / 3) if weights is None else weights,
        bounds=np.array([y_n.min(), y_n.max()]),
    )


_TYPES = {"split_feature": np.int8, "left": np.int32, "right": np.int32, "roots_t": np.int32}


def to_arrays(surrogate: Surrogate) -> dict[str, npt.NDArray[np.generic]]:
    """For `numpy.savez_compressed`: single precision is enough for values of tasks."""
    return {name: getattr(surrogate, name).astype(_TYPES.get(name, np.float32)) for name in surrogate.__slots__}


def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Surrogate:
    """The counterpart of `to_arrays`."""
    wide = {name: np.int64 if name in _TYPES else np.float64 for name in Surrogate.__slots__}
    fields: dict[str, Any] = {name: np.asarray(arrays[name], dtype=kind) for name, kind in wide.items()}
    return Surrogate(**fields)
