"""Gaussian processes with given hyperparameters, and what they say about other points.

Several sets of hyperparameters (members) may stand for one outcome; they are kept side by side, never mixed: what is
wanted is the mean of a quantity over the members, not the quantity of a mean.

Everything rests on one factor L of the covariance of what is known. With v = L^-1 k(x), the mean at x is v'w and the
variance 1 - v'v, where w is the whitened outcome. To imagine outcomes at further points is to extend L by their rows
and w by independent standard normal numbers, one column of w for each draw.

Legend: k members, n observations, p imagined points, t test points, f columns, s draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from paretune.algorithms._gp.input_warp import bend
from paretune.algorithms._gp.kernel import covariances
from paretune.algorithms._gp.levels import Levels
from paretune.algorithms._gp.settings import Kernel

Mean: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""A mean known beforehand: points of shape (t, f) to values of shape (t,), differentiable."""

JITTER = 1e-8
"""Added to the variance of imagined values, a ten-thousandth of the outcomes' standard deviation: two of them may
coincide."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known, factorised: B_knf, the points as each member bends them, lengths_k1f, mean_k, inverse_knn = L^-1,
    whitened_kns = w.

    `prior`, where there is one, is added to mean_k. Where no column is bent (no `powers_2k1f`) all members share B_nf.
    `told_k1n` says how closely each of the known outcomes correlates with that which is asked for, where they are of
    several levels.
    """

    B_knf: torch.Tensor
    lengths_k1f: torch.Tensor
    mean_k: torch.Tensor
    inverse_knn: torch.Tensor
    whitened_kns: torch.Tensor
    kernel: Kernel = "matern52"
    powers_2k1f: torch.Tensor | None = None
    prior: Mean | None = None
    told_k1n: torch.Tensor | None = None

    @property
    def members(self) -> int:
        return len(self.mean_k)

    def __call__(self, X_tf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means for each draw, shape (k, t, s), and the standard deviation they share, shape (k, t, 1)."""
        v_ktn = self.whiten(X_tf)
        mean_kts = self.prior_mean(X_tf) + v_ktn @ self.whitened_kns
        variance_kt1 = (1 - (v_ktn**2).sum(-1, keepdim=True)).clamp_min(1e-10)
        return mean_kts, variance_kt1.sqrt()

    def mean(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The means alone, in a fraction of the time; shape (k, t, s)."""
        weights_kns = self.inverse_knn.mT @ self.whitened_kns
        return self.prior_mean(X_tf) + self._with_known(self._bent(X_tf)) @ weights_kns

    def imagine(self, X_pf: torch.Tensor, normal_sp: torch.Tensor) -> tuple[Posterior, torch.Tensor]:
        """The posterior that also knows noise-free outcomes at X_pf, drawn jointly, and those; shape (k, s, p)."""
        B_kpf = self._bent(X_pf)
        v_kpn = self._with_known(B_kpf) @ self.inverse_knn.mT
        prior_kpp = self._covariances(B_kpf, B_kpf)
        covariance_kpp = prior_kpp - v_kpn @ v_kpn.mT
        covariance_kpp.diagonal(dim1=-2, dim2=-1).add_(JITTER)
        root_kpp = cholesky(covariance_kpp)
        inverse_kpp = inverse_of(root_kpp)
        k, s, p = len(self.mean_k), len(normal_sp), len(X_pf)
        n = self.inverse_knn.shape[-1]
        inverse = torch.zeros(k, n + p, n + p, dtype=X_pf.dtype)
        inverse[:, :n, :n] = self.inverse_knn
        inverse[:, n:, n:] = inverse_kpp
        inverse[:, n:, :n] = -inverse_kpp @ v_kpn @ self.inverse_knn
        known_kns, drawn_kps = self.whitened_kns.expand(k, n, s), normal_sp.T.expand(k, p, s)
        values_kps = self.prior_mean(X_pf) + v_kpn @ known_kns + root_kpp @ drawn_kps
        grown = Posterior(
            torch.cat([self.B_knf, B_kpf], dim=-2),
            self.lengths_k1f,
            self.mean_k,
            inverse,
            torch.cat([known_kns, drawn_kps], dim=1),
            self.kernel,
            self.powers_2k1f,
            self.prior,
            None
            if self.told_k1n is None
            else torch.cat([self.told_k1n, torch.ones(k, 1, p, dtype=X_pf.dtype)], dim=-1),
        )
        return grown, values_kps.mT

    def prior_mean(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The mean without any outcome; shape (k, t or 1, 1)."""
        mean_k11 = self.mean_k[:, None, None]
        return mean_k11 if self.prior is None else mean_k11 + self.prior(X_tf)[:, None]

    def covariance(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances of outcomes at two sets of points; shape (k, t, p)."""
        return self.prior_covariance(X_tf, X_pf) - self.whiten(X_tf) @ self.whiten(X_pf).mT

    def prior_covariance(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances before any outcome; shape (k, t, p)."""
        return self._covariances(self._bent(X_tf), self._bent(X_pf))

    def whiten(self, X_tf: torch.Tensor) -> torch.Tensor:
        """v = L^-1 k(x) of each point; shape (k, t, n)."""
        return self._with_known(self._bent(X_tf)) @ self.inverse_knn.mT

    def _bent(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The points as each member sees them; shape (k, t, f), or (t, f) where none is bent."""
        return X_tf if self.powers_2k1f is None else bend(X_tf, self.powers_2k1f)

    def _with_known(self, B_ktf: torch.Tensor) -> torch.Tensor:
        """Covariances with what is known, before any outcome; shape (k, t, n)."""
        covariance_ktn = self._covariances(B_ktf, self.B_knf)
        return covariance_ktn if self.told_k1n is None else covariance_ktn * self.told_k1n

    def _covariances(self, B_kaf: torch.Tensor, B_kbf: torch.Tensor) -> torch.Tensor:
        """Before any outcome; shape (k, a, b)."""
        return covariances(B_kaf, B_kbf, self.lengths_k1f, self.kernel)


def condition(
    X_nf: torch.Tensor,
    z_n: torch.Tensor,
    *,
    lengths_kf: torch.Tensor,
    noise_kn: torch.Tensor,
    mean_k: torch.Tensor,
    kernel: Kernel = "matern52",
    powers_2k1f: torch.Tensor | None = None,
    prior: Mean | None = None,
    levels: Levels | None = None,
    correlations_krr: torch.Tensor | None = None,
) -> Posterior:
    """What outcomes z_n of noise variances noise_kn teach under each member; one draw.

    Outcomes of several levels, which correlate as given, teach what the last level's are.
    """
    lengths_k1f = lengths_kf[:, None, :]
    B_knf = X_nf if powers_2k1f is None else bend(X_nf, powers_2k1f)
    K_knn, told_k1n = covariances(B_knf, B_knf, lengths_k1f, kernel), None
    if levels is not None and correlations_krr is not None:
        K_knn = K_knn * levels.between(correlations_krr)
        told_k1n = levels.told(correlations_krr)[:, -1:]
    K_knn.diagonal(dim1=-2, dim2=-1).add_(noise_kn)
    inverse_knn = inverse_of(cholesky(K_knn))
    rest_n = z_n if prior is None else z_n - prior(X_nf)
    whitened_kn1 = inverse_knn @ (rest_n - mean_k[:, None])[:, :, None]
    return Posterior(B_knf, lengths_k1f, mean_k, inverse_knn, whitened_kn1, kernel, powers_2k1f, prior, told_k1n)


def cholesky(K_knn: torch.Tensor) -> torch.Tensor:
    """The lower factor, with as little added to the diagonal as it takes."""
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        tried_knn = K_knn + jitter * torch.eye(K_knn.shape[-1], dtype=K_knn.dtype)
        root_knn: torch.Tensor
        root_knn, failed_k = torch.linalg.cholesky_ex(tried_knn)
        if not failed_k.any():
            return root_knn
    raise ArithmeticError("a covariance is not positive definite, even with 1e-4 on its diagonal")


def inverse_of(root_knn: torch.Tensor) -> torch.Tensor:
    identity = torch.eye(root_knn.shape[-1], dtype=root_knn.dtype)
    inverse_knn: torch.Tensor = torch.linalg.solve_triangular(root_knn, identity.expand_as(root_knn), upper=False)
    return inverse_knn
