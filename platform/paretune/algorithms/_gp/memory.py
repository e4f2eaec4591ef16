"""Which layouts need more memory than there is, from those that failed.

A worker's memory is taken for a mixture of what its share of the parameters and its share of the activations need (see
`analytic`), with a limit that is not known either. Every pair of a mixture and a limit is a hypothesis, which explains
the endings so far more or less well; one more says that endings have nothing to do with memory. A layout that needs
more of both than one that has failed is beyond the limit under all pairs that explain the failure.

Legend: n ended trials, t test points, w mixtures, l limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, gammaln, logsumexp

Array = npt.NDArray[np.float64]
Shares = Callable[[torch.Tensor], tuple[Array, Array]]
"""Of points (t, f): the share of the parameters, and of the activations, that a worker holds; shapes (t,)."""

_WEIGHT_W = np.linspace(0, 1, 21)
"""Of the activations in a worker's memory."""
_LIMITS = 64
_BEYOND = math.log(4.0)
"""Limits may lie by so much below and above all that was tried."""
_OTHERWISE = 0.1
"""Trials that fail although there is memory enough."""
_ROUGH = 0.05
"""Trials that end well although the arithmetic says that they cannot: it is rough."""


class Memory:
    """What is believed of the limit; X_nf are the encoded configurations, well_n how their trials ended."""

    def __init__(self, shares: Shares, X_nf: Array, well_n: npt.NDArray[np.bool_]) -> None:
        self._shares = shares
        log_wn = self._log_memory(torch.from_numpy(X_nf))
        low, high = log_wn.min(axis=1) - _BEYOND, log_wn.max(axis=1) + _BEYOND
        self._limit_wl = np.linspace(low, high, _LIMITS, axis=1)
        within_wln = log_wn[:, None, :] <= self._limit_wl[:, :, None]
        well = np.where(within_wln, 1 - _OTHERWISE, _ROUGH)
        log_wl = np.log(np.where(well_n, well, 1 - well)).sum(axis=2)
        belief_wl = np.exp(log_wl - logsumexp(log_wl))
        above_wl = np.cumsum(belief_wl[:, ::-1], axis=1)[:, ::-1]  # that the mixture is right, and the limit no lower
        self._above_wl = np.concatenate([above_wl, np.zeros((len(above_wl), 1))], axis=1)
        n, failed = len(well_n), int((~well_n).sum())
        unrelated = gammaln(failed + 1) + gammaln(n - failed + 1) - gammaln(n + 2)  # any rate, all equally likely
        self._trust = float(expit(logsumexp(log_wl) - math.log(log_wl.size) - unrelated))
        self.explained_n = ~well_n & (self._enough(log_wn) < 0.5)
        """The failures for want of memory."""

    def log_probability(self, X_tf: torch.Tensor) -> torch.Tensor:
        """log P(there is memory enough); shape (t,). Without a slope: layouts are discrete."""
        return torch.from_numpy(np.log(self._enough(self._log_memory(X_tf)))).to(X_tf.dtype)

    def _log_memory(self, X_tf: torch.Tensor) -> Array:
        states_t, activations_t = self._shares(X_tf)
        mixed_wt = np.outer(1 - _WEIGHT_W, states_t) + np.outer(_WEIGHT_W, activations_t)
        return np.log(np.maximum(mixed_wt, 1e-12))

    def _enough(self, log_wt: Array) -> Array:
        """P(within the limit, or memory is not what matters); shape (t,)."""
        places_wt = [np.searchsorted(limit_l, log_t) for limit_l, log_t in zip(self._limit_wl, log_wt, strict=True)]
        within_t = np.take_along_axis(self._above_wl, np.array(places_wt), axis=1).sum(axis=0)
        return np.asarray(1 - self._trust * (1 - _ROUGH) * (1 - np.minimum(within_t, 1)))
