"""The distribution that CMA-ES draws from, and how a generation changes it.

After Hansen, "The CMA evolution strategy: a tutorial" (arXiv:1604.00772), figure 6, without negative weights. Every
point is treated as if it came from outside (Hansen, 2011, "Injecting external solutions into CMA-ES"): its step is
shortened to a likely length. So a generation may hold points of the space-filling start and ones that were drawn
several generations ago, as happens with many trials under way.

Legend: d coordinates, k points of a generation; y_kd steps from the mean in units of sigma and of spread_d, best first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A normal distribution with mean m_d and covariance sigma^2 C_dd, and the two evolution paths."""

    mean_d: Array
    sigma: float
    C_dd: Array
    path_sigma_d: Array
    path_c_d: Array
    generation: int = 0

    @classmethod
    def start(cls, mean_d: Array, sigma: float) -> State:
        """Round, of standard deviation `sigma`."""
        zero_d = np.zeros(len(mean_d))
        return cls(mean_d=mean_d, sigma=sigma, C_dd=np.eye(len(mean_d)), path_sigma_d=zero_d, path_c_d=zero_d)

    @property
    def sd_d(self) -> Array:
        """The standard deviation of each coordinate; shape (d,)."""
        return np.asarray(self.sigma * np.sqrt(np.diag(self.C_dd)))

    def root(self) -> tuple[Array, Array]:
        """C^(1/2) and C^(-1/2); shape (d, d) each."""
        values_d, vectors_dd = np.linalg.eigh(self.C_dd)
        scale_d = np.sqrt(np.maximum(values_d, 1e-20))
        return (vectors_dd * scale_d) @ vectors_dd.T, (vectors_dd / scale_d) @ vectors_dd.T


def weights(size: int) -> Array:
    """The weights of a generation's better half, the best first; they sum to one (equation 49's positive part)."""
    parents = size // 2
    raw_k = np.log((size + 1) / 2) - np.log(np.arange(1, parents + 1))
    return np.asarray(raw_k / raw_k.sum())


def advance(state: State, y_kd: Array, w_k: Array, *, spread_d: Array) -> State:
    """The state after a generation whose best k points took the steps y_kd, weighted by w_k."""
    d = len(state.mean_d)
    effective = 1 / float((w_k**2).sum())
    _, whiten_dd = state.root()
    y_kd = _shortened(y_kd, whiten_dd)
    step_d = w_k @ y_kd

    c_sigma = (effective + 2) / (d + effective + 5)
    damping = 1 + 2 * max(0.0, np.sqrt((effective - 1) / (d + 1)) - 1) + c_sigma
    path_sigma_d = (1 - c_sigma) * state.path_sigma_d
    path_sigma_d = path_sigma_d + np.sqrt(c_sigma * (2 - c_sigma) * effective) * whiten_dd @ step_d
    length, usual = float(np.linalg.norm(path_sigma_d)), np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))
    faded = np.sqrt(1 - (1 - c_sigma) ** (2 * (state.generation + 1)))
    stalled = length / faded >= (1.4 + 2 / (d + 1)) * usual  # sigma is far too small: the path would mislead C

    c_c = (4 + effective / d) / (d + 4 + 2 * effective / d)
    path_c_d = (1 - c_c) * state.path_c_d
    if not stalled:
        path_c_d = path_c_d + np.sqrt(c_c * (2 - c_c) * effective) * step_d
    c_1 = 2 / ((d + 1.3) ** 2 + effective)
    c_mu = min(1 - c_1, 2 * (effective - 2 + 1 / effective) / ((d + 2) ** 2 + effective))
    lost = c_1 * c_c * (2 - c_c) if stalled else 0.0
    C_dd = (1 - c_1 - c_mu + lost) * state.C_dd + c_1 * np.outer(path_c_d, path_c_d) + c_mu * (y_kd.T * w_k) @ y_kd
    return State(
        mean_d=np.clip(state.mean_d + state.sigma * spread_d * step_d, 0, 1),
        sigma=float(state.sigma * np.exp(min(1.0, c_sigma / damping * (length / usual - 1)))),
        C_dd=(C_dd + C_dd.T) / 2,
        path_sigma_d=path_sigma_d,
        path_c_d=path_c_d,
        generation=state.generation + 1,
    )


def _shortened(y_kd: Array, whiten_dd: Array) -> Array:
    """Steps of a length that the distribution makes likely (Hansen, 2011, equation 4 and table 1)."""
    d = y_kd.shape[1]
    length_k = np.linalg.norm(y_kd @ whiten_dd, axis=1)
    longest = np.sqrt(d) + 2 * d / (d + 2)
    return np.asarray(y_kd * np.minimum(1.0, longest / np.maximum(length_k, 1e-12))[:, None])
