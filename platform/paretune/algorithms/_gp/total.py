"""Sums of independent Gaussian processes: what is known of a total when each part has been observed by itself.

The parts' known values stay in their own factors, one block each: with v_j = L_j^-1 f_j k_j(x), all v_j beside each
other are the v of the total (see `process`). Outcomes of the total that are imagined extend it by rows of their own.

Legend: k members, n observations of all parts, p imagined points, t test points, f columns, s draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from paretune.algorithms._gp.process import JITTER, Posterior, cholesky, inverse_of


@dataclass(frozen=True, slots=True)
class Part:
    """A process, and what one unit of it adds to the total."""

    posterior: Posterior
    factor: float


@dataclass(frozen=True, slots=True)
class _Imagined:
    """Points at which the total is taken for known: what the parts say of them, and what they say themselves."""

    X_pf: torch.Tensor
    v_kpn: torch.Tensor
    inverse_kpp: torch.Tensor
    whitened_kps: torch.Tensor


@dataclass(frozen=True, slots=True)
class Total:
    """offset + the sum over the parts of factor times process. A part has as many members as the total, or one."""

    offset: float
    parts: tuple[Part, ...]
    imagined: _Imagined | None = None

    @property
    def members(self) -> int:
        return max(part.posterior.members for part in self.parts)

    def __call__(self, X_tf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means for each draw, shape (k, t, s), and the standard deviation they share, shape (k, t, 1)."""
        v_ktn, mean_kts = self._seen(X_tf)
        variance_kt1 = self._unconditional - (v_ktn**2).sum(-1, keepdim=True)
        if self.imagined is not None:
            v_ktp = self._further(X_tf, v_ktn)
            mean_kts = mean_kts + v_ktp @ self.imagined.whitened_kps
            variance_kt1 = variance_kt1 - (v_ktp**2).sum(-1, keepdim=True)
        return mean_kts, variance_kt1.clamp_min(1e-10).sqrt()

    def rescaled(self, zero: float, unit: float) -> Total:
        """(total - zero) / unit, of a total that imagines nothing."""
        assert self.imagined is None
        parts = tuple(Part(part.posterior, part.factor / unit) for part in self.parts)
        return Total((self.offset - zero) / unit, parts)

    def imagine(self, X_pf: torch.Tensor, normal_sp: torch.Tensor) -> tuple[Total, torch.Tensor]:
        """The posterior that also knows noise-free totals at X_pf, drawn jointly, and those; shape (k, s, p).

        Once only: of a total that imagines nothing yet.
        """
        assert self.imagined is None
        v_kpn, mean_kp1 = self._seen(X_pf)
        covariance_kpp = self._prior(X_pf, X_pf) - v_kpn @ v_kpn.mT
        covariance_kpp.diagonal(dim1=-2, dim2=-1).add_(JITTER)
        root_kpp = cholesky(covariance_kpp)
        drawn_kps = normal_sp.T.expand(self.members, *normal_sp.T.shape)
        values_kps = mean_kp1 + root_kpp @ drawn_kps
        imagined = _Imagined(X_pf, v_kpn, inverse_of(root_kpp), drawn_kps)
        return replace(self, imagined=imagined), values_kps.mT

    def covariance(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances of totals at two sets of points; shape (k, t, p)."""
        v_ktn, v_kpn = self._seen(X_tf)[0], self._seen(X_pf)[0]
        covariance_ktp = self._prior(X_tf, X_pf) - v_ktn @ v_kpn.mT
        if self.imagined is None:
            return covariance_ktp
        return covariance_ktp - self._further(X_tf, v_ktn) @ self._further(X_pf, v_kpn).mT

    @property
    def _unconditional(self) -> float:
        """The total's variance before any observation."""
        return sum(part.factor**2 for part in self.parts)

    def _seen(self, X_tf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """v of all parts, shape (k, t, n), and the means given what has been observed, shape (k, t, 1)."""
        blocks, means = [], []
        for part in self.parts:
            v_ktn = part.posterior.whiten(X_tf)
            blocks.append((part.factor * v_ktn).expand(self.members, -1, -1))
            means.append(part.factor * (part.posterior.prior_mean(X_tf) + v_ktn @ part.posterior.whitened_kns))
        return torch.cat(blocks, dim=-1), self.offset + _added(means)

    def _prior(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances before any observation; shape (k, t, p)."""
        return _added([part.factor**2 * part.posterior.prior_covariance(X_tf, X_pf) for part in self.parts])

    def _further(self, X_tf: torch.Tensor, v_ktn: torch.Tensor) -> torch.Tensor:
        """What the imagined points say on top of the observed ones; shape (k, t, p)."""
        assert self.imagined is not None
        covariance_ktp = self._prior(X_tf, self.imagined.X_pf) - v_ktn @ self.imagined.v_kpn.mT
        return covariance_ktp @ self.imagined.inverse_kpp.mT


def _added(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
