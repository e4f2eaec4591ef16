"""What a model takes from a part of the results only: units and hyperparameters.

They move little from one result to the next, and cost most of the time. So they follow from the results up to the last
round number, every one at first, then at every twentieth part more; all results, the newest too, still enter the model
they define. A function of the results, not of what was computed before; what is kept here only saves time.

Legend: n results, m outcomes, f columns, k members; Y_nm minimised, Z_nm standardised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.outcomes import STRENGTHS, Scale
from paretune.algorithms._gp.posterior_mode import SHORTEST, Hyperparameters, log_density, posterior_mode
from paretune.algorithms._gp.posterior_sample import posterior_sample

Array = npt.NDArray[np.float64]

_PARTS = 20
_MOST = 300  # results that hyperparameters are fitted to, evenly spaced: a fit to 1,000 takes seconds and agrees
_KEPT = 64  # calibrations, of some kilobytes each
_DOUBT = 1.0  # nats by which a warp must explain the outcomes better than none


@dataclass(frozen=True, slots=True)
class Fit:
    """Of one outcome: its most probable hyperparameters, and the members that stand for all plausible ones."""

    mode: Hyperparameters
    members: tuple[Hyperparameters, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The units of outcomes, and a fit of each."""

    scale: Scale
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to calibrate; see `surrogate.fit`."""

    dimensions: int
    shortest: float = SHORTEST
    members: int = 1
    warp: bool = False


def rounded(n: int) -> int:
    """The last round number up to n."""
    return n - n % max(1, n // _PARTS)


def calibrate(X_nf: Array, Y_nm: Array, keep_m: Array, manner: Manner) -> Calibration:
    """The calibration from results in the order in which they came."""
    return _calibrate(X_nf.tobytes(), Y_nm.tobytes(), keep_m.tobytes(), len(X_nf), len(keep_m), manner)


def stacked(members: Sequence[Hyperparameters]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lengthscales (k, f), noise variances (k, 1), means (k,)."""
    return (
        torch.from_numpy(np.array([member.lengthscales_f for member in members])),
        torch.tensor([[member.noise] for member in members], dtype=torch.double),
        torch.tensor([member.mean for member in members], dtype=torch.double),
    )


@lru_cache(maxsize=_KEPT)
def _calibrate(X: bytes, Y: bytes, keep: bytes, n: int, m: int, manner: Manner) -> Calibration:
    X_nf, Y_nm = np.frombuffer(X).reshape(n, -1), np.frombuffer(Y).reshape(n, m)
    keep_m = np.frombuffer(keep)
    part = np.unique(np.linspace(0, n - 1, min(n, _MOST)).round().astype(np.intp))
    candidates = [
        _Candidate.fitted(X_nf, Y_nm, keep_m, np.full(m, strength), part, manner)
        for strength in (STRENGTHS if manner.warp else STRENGTHS[:1])
    ]
    best = candidates[0] if len(candidates) == 1 else max(candidates, key=_Candidate.evidence)
    return best.calibration(manner)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A scale with the most probable hyperparameters under it."""

    scale: Scale
    modes: list[Hyperparameters]
    X_nf: torch.Tensor
    Y_nm: Array
    Z_nm: torch.Tensor
    dimensions: int

    @classmethod
    def fitted(
        cls, X_nf: Array, Y_nm: Array, keep_m: Array, strength_m: Array, part: npt.NDArray[np.intp], manner: Manner
    ) -> _Candidate:
        scale = Scale.of(Y_nm, keep_m, strength_m)
        X, Z_nm = torch.from_numpy(X_nf[part]), torch.from_numpy(scale.apply(Y_nm[part]))
        modes = [posterior_mode(X, z_n, dimensions=manner.dimensions, shortest=manner.shortest) for z_n in Z_nm.T]
        return cls(scale=scale, modes=modes, X_nf=X, Y_nm=Y_nm[part], Z_nm=Z_nm, dimensions=manner.dimensions)

    def evidence(self) -> float:
        """The log density of the outcome itself, not of what a warp makes of it (Snelson et al., 2004, equation 5)."""
        theta_1p = self.modes[0].theta_p[None]
        density = log_density(theta_1p, self.X_nf, self.Z_nm[:, 0], dimensions=self.dimensions)[0].item()
        slopes = float(self.scale.log_slopes(self.Y_nm)[0])
        return density + slopes - (_DOUBT if self.scale.strength_m[0] > 0 else 0.0)

    def calibration(self, manner: Manner) -> Calibration:
        return Calibration(
            self.scale,
            tuple(
                Fit(mode, self._members(z_n, mode, manner)) for z_n, mode in zip(self.Z_nm.T, self.modes, strict=True)
            ),
        )

    def _members(self, z_n: torch.Tensor, mode: Hyperparameters, manner: Manner) -> tuple[Hyperparameters, ...]:
        if manner.members == 1:
            return (mode,)
        sample = posterior_sample(
            self.X_nf,
            z_n,
            mode,
            members=manner.members,
            dimensions=manner.dimensions,
            shortest=manner.shortest,
        )
        return tuple(sample)
