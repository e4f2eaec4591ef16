"""Densities over a space of any kind: a mean of product kernels around points.

A kernel is a normal distribution cut off at the ends of the range for a number or an ordered choice; for an unordered
one it is mostly the point's own option (Aitchison and Aitken, 1976). Where a point lacks a parameter its kernel is
uniform, so that conditional parameters take part wherever they are present.

Legend: n points, k places, d parameters; X coordinates of the unit cube, NaN where a parameter is absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr, ndtri

from paretune.space import Choice, Config, Space

Array = npt.NDArray[np.float64]

_WIDTH = 0.2
"""A kernel's standard deviation for one point, as in Optuna's estimator; it shrinks with n by Scott's (1992) rule."""


def present(space: Space, configs: Sequence[Config]) -> Array:
    """The coordinates of configurations, NaN where a parameter is absent; shape (n, d)."""
    rows = [np.where([name in config for name in space], space.encode(config), np.nan) for config in configs]
    return np.array(rows).reshape(len(configs), len(space))


class KernelDensity:
    """The density of the points `X_nd`; `background` gives a uniform one the weight of one more point."""

    def __init__(self, space: Space, X_nd: Array, *, background: bool) -> None:
        self._X_nd, (n, d) = X_nd, X_nd.shape
        self._rows_nd = np.vstack([X_nd, np.full((int(background), d), np.nan)])
        self._width = _WIDTH * max(n, 1) ** (-1 / (d + 4))
        unordered = (isinstance(p, Choice) and not p.ordered for p in space.values())
        self._options_d = [p.cardinality if apart else 0 for p, apart in zip(space.values(), unordered, strict=True)]

    def log(self, X_kd: Array) -> Array:
        """The logarithm of the density; shape (k,)."""
        total_kn = np.zeros((len(X_kd), len(self._rows_nd)))
        for x_k, x_n, options in zip(X_kd.T, self._rows_nd.T, self._options_d, strict=True):
            apart_kn = x_k[:, None] - x_n
            log_kn = self._log_option(apart_kn, options) if options else self._log_normal(apart_kn, x_n)
            total_kn += np.where(np.isnan(apart_kn), 0.0, log_kn)
        return np.asarray(logsumexp(total_kn, axis=1) - np.log(len(self._rows_nd)))

    def draw(self, k: int, rng: np.random.Generator) -> Array:
        """k points of it, with a coordinate for every parameter; shape (k, d)."""
        X_kd = self._rows_nd[rng.integers(len(self._rows_nd), size=k)]
        U_kd = rng.random(X_kd.shape)
        for x_k, u_k, options in zip(X_kd.T, U_kd.T, self._options_d, strict=True):
            if options:
                near_k = np.where(rng.random(k) < options * self._other(options), u_k, x_k)
            else:
                low_k, high_k = ndtr(-x_k / self._width), ndtr((1 - x_k) / self._width)
                near_k = np.clip(x_k + self._width * ndtri(low_k + u_k * (high_k - low_k)), 0, 1)
            x_k[:] = np.where(np.isnan(x_k), u_k, near_k)
        return X_kd

    def _log_option(self, apart_kn: Array, options: float) -> Array:
        other = self._other(options)
        return np.log(options * np.where(np.abs(apart_kn) < 0.5 / options, 1 - (options - 1) * other, other))

    def _log_normal(self, apart_kn: Array, x_n: Array) -> Array:
        inside_n = ndtr((1 - x_n) / self._width) - ndtr(-x_n / self._width)
        return np.asarray(-0.5 * (apart_kn / self._width) ** 2 - np.log(self._width * np.sqrt(2 * np.pi) * inside_n))

    def _other(self, options: float) -> float:
        """The probability of each option that is not the point's own: less, the more points there are."""
        return 1 / (len(self._X_nd) + 1 + options)
