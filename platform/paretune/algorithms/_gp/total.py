"""Sums of independent Gaussian processes: what is known of a total when each part has been observed by itself.

The parts' known values stay in their own factors: a mean is the sum of the parts' means, a covariance that of their
covariances. Totals that are imagined at further points are known on top of that, in a factor of their own (see
`process`, whose v and w these are).

Legend: k members, n observations of a part, p imagined points, t test points, f columns, s draws.
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
    """Points at which the total is taken for known: each part's v there, and what they say on top of the parts."""

    X_pf: torch.Tensor
    v_kpn: list[torch.Tensor]
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
        v_ktn = self._whiten(X_tf)
        mean_kts, variance_kt1 = self._mean(X_tf, v_ktn), torch.zeros(1, dtype=X_tf.dtype)
        for part, v in zip(self.parts, v_ktn, strict=True):
            variance_kt1 = variance_kt1 + part.factor**2 * (1 - (v**2).sum(-1, keepdim=True))
        if self.imagined is not None:
            v_ktp = self._further(X_tf, v_ktn)
            mean_kts = mean_kts + v_ktp @ self.imagined.whitened_kps
            variance_kt1 = variance_kt1 - (v_ktp**2).sum(-1, keepdim=True)
        return mean_kts, variance_kt1.clamp_min(1e-10).sqrt().expand(self.members, -1, -1)

    def imagine(self, X_pf: torch.Tensor, normal_sp: torch.Tensor) -> tuple[Total, torch.Tensor]:
        """The posterior that also knows noise-free totals at X_pf, drawn jointly, and those; shape (k, s, p).

        Once only: of a total that imagines nothing yet.
        """
        assert self.imagined is None
        v_kpn = self._whiten(X_pf)
        covariance_kpp = self._covariance(X_pf, v_kpn, X_pf, v_kpn)
        covariance_kpp.diagonal(dim1=-2, dim2=-1).add_(JITTER)
        root_kpp = cholesky(covariance_kpp)
        drawn_kps = normal_sp.T.expand(self.members, *normal_sp.T.shape)
        values_kps = self._mean(X_pf, v_kpn) + root_kpp @ drawn_kps
        imagined = _Imagined(X_pf, v_kpn, inverse_of(root_kpp), drawn_kps)
        return replace(self, imagined=imagined), values_kps.mT

    def covariance(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances of totals at two sets of points; shape (k, t, p)."""
        v_ktn, v_kpn = self._whiten(X_tf), self._whiten(X_pf)
        covariance_ktp = self._covariance(X_tf, v_ktn, X_pf, v_kpn)
        if self.imagined is None:
            return covariance_ktp
        return covariance_ktp - self._further(X_tf, v_ktn) @ self._further(X_pf, v_kpn).mT

    def _whiten(self, X_tf: torch.Tensor) -> list[torch.Tensor]:
        """Each part's v; shapes (k or 1, t, n)."""
        return [part.posterior.whiten(X_tf) for part in self.parts]

    def _mean(self, X_tf: torch.Tensor, v_ktn: Sequence[torch.Tensor]) -> torch.Tensor:
        """The means given what has been observed; shape (k, t, 1)."""
        mean_kt1 = torch.full((self.members, len(X_tf), 1), self.offset, dtype=X_tf.dtype)
        for part, v in zip(self.parts, v_ktn, strict=True):
            mean_kt1 = mean_kt1 + part.factor * (part.posterior.prior_mean(X_tf) + v @ part.posterior.whitened_kns)
        return mean_kt1

    def _covariance(
        self, X_tf: torch.Tensor, v_ktn: Sequence[torch.Tensor], X_pf: torch.Tensor, v_kpn: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Covariances given what has been observed, of points with their v; shape (k, t, p)."""
        covariance_ktp = torch.zeros(self.members, len(X_tf), len(X_pf), dtype=X_tf.dtype)
        for part, v_t, v_p in zip(self.parts, v_ktn, v_kpn, strict=True):
            left_ktp = part.posterior.prior_covariance(X_tf, X_pf) - v_t @ v_p.mT
            covariance_ktp = covariance_ktp + part.factor**2 * left_ktp
        return covariance_ktp

    def _further(self, X_tf: torch.Tensor, v_ktn: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the imagined points say on top of the observed ones; shape (k, t, p)."""
        assert self.imagined is not None
        covariance_ktp = self._covariance(X_tf, v_ktn, self.imagined.X_pf, self.imagined.v_kpn)
        return covariance_ktp @ self.imagined.inverse_kpp.mT
