"""Several outcomes along one training: how closely they agree, and which observation is of which.

At level r of a training's rungs the outcome is a function g_r of the configuration; all are equally smooth, and
Cov(g_r(x), g_s(x')) = C_rs k(x, x') (intrinsic coregionalisation: Bonilla, Chai and Williams, 2008). Levels correlate
along a chain: C_rs is the product of the correlations between neighbours from r to s, each the hyperbolic tangent of a
tie. What is observed at a level has a noise of its own.

Legend: k sets of hyperparameters, r, s levels, q = r - 1 ties, n observations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]

TIE_PRIOR = (1.0, 0.5)
"""Normal: a correlation of .76, from 0 to .96. Of eight tasks' sixty trials each, four of them whole and the rest
halved, ends were predicted better with a wider one on none, and worse on four; the same around a first estimate."""

STRONGEST = 4.0  # tie, a correlation of .9993
_WEAKEST = 1e-3  # correlation: a product of several is still a number


class Levels:
    """Which of `count` levels each observation is of; `level_n` are integers from 0."""

    def __init__(self, level_n: npt.NDArray[np.intp], count: int) -> None:
        self.level_n = torch.from_numpy(level_n)
        self.count = count
        self._of_rn = torch.nn.functional.one_hot(self.level_n, count).to(torch.double).T

    def noises(self, last_k: torch.Tensor, others_kq: torch.Tensor) -> torch.Tensor:
        """Each observation's noise variance, from the last level's and the others'; shape (k, n)."""
        return torch.cat([others_kq, last_k[:, None]], dim=1)[:, self.level_n]

    def told(self, C_krr: torch.Tensor) -> torch.Tensor:
        """How much each observation tells of each level; shape (k, r, n)."""
        return C_krr[:, :, self.level_n]

    def between(self, C_krr: torch.Tensor) -> torch.Tensor:
        """The correlations of observations' levels; shape (k, n, n)."""
        return self.told(C_krr)[:, self.level_n]

    def by_level(self, values_kn: torch.Tensor) -> torch.Tensor:
        """Sums over the observations of each level; shape (k, r)."""
        return values_kn @ self._of_rn.T

    def by_tie(self, ties_kq: torch.Tensor, pull_knn: torch.Tensor) -> torch.Tensor:
        """The gradient by the ties of a sum over pairs, whose gradient by each pair's correlation is pull; (k, q)."""
        rho_kq, C_krr = _chain(ties_kq)
        pull_krr = self._of_rn @ pull_knn @ self._of_rn.T * C_krr
        levels = torch.arange(self.count)
        tie_q11 = levels[:-1, None, None]
        low_rr = torch.minimum(levels[:, None], levels[None, :])
        high_rr = torch.maximum(levels[:, None], levels[None, :])
        spans_qrr = (low_rr <= tie_q11) & (tie_q11 < high_rr)
        return torch.einsum("krs,qrs->kq", pull_krr, spans_qrr.double()) * (1 - torch.tanh(ties_kq) ** 2) / rho_kq


def correlations(ties_kq: torch.Tensor) -> torch.Tensor:
    """C, from the ties; shape (k, r, r)."""
    return _chain(ties_kq)[1]


def _chain(ties_kq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The correlations between neighbours, (k, q), and between all levels, (k, r, r)."""
    rho_kq = torch.tanh(ties_kq)
    rho_kq = torch.where(rho_kq.abs() < _WEAKEST, _WEAKEST, rho_kq)
    first_kr = torch.cat([torch.ones_like(rho_kq[:, :1]), rho_kq.cumprod(1)], dim=1)  # from the lowest level
    ratio_krr = first_kr[:, None, :] / first_kr[:, :, None]
    upper_krr = ratio_krr.triu()
    return rho_kq, upper_krr + ratio_krr.triu(1).mT
