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

from paretune.algorithms._gp.input_warp import Bent
from paretune.algorithms._gp.outcomes import STRENGTHS, Scale
from paretune.algorithms._gp.posterior_mode import SHORTEST, Hyperparameters, log_density, posterior_mode
from paretune.algorithms._gp.posterior_sample import posterior_sample
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.settings import Kernel

Array = npt.NDArray[np.float64]

_PARTS = 20
_MOST = 300  # results that hyperparameters are fitted to, evenly spaced: a fit to 1,000 takes seconds and agrees
_KEPT = 64  # calibrations, of some kilobytes each
_DOUBT = 3.0  # nats by which a warp must explain the outcomes better than none


@dataclass(frozen=True, slots=True)
class Fit:
    """Of one outcome: its most probable hyperparameters, and the members that stand for all plausible ones."""

    mode: Hyperparameters
    members: tuple[Hyperparameters, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The units of outcomes, a fit of each, and what was known of it beforehand, in those units."""

    scale: Scale
    fits: tuple[Fit, ...]
    priors: tuple[Prior | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to calibrate; see `surrogate.fit`."""

    dimensions: int
    kernel: Kernel = "matern52"
    shortest: float = SHORTEST
    members: int = 1
    warp: bool = False
    bent_f: Bent | None = None


def rounded(n: int) -> int:
    """The last round number up to n."""
    return n - n % max(1, n // _PARTS)


def calibrate(
    X_nf: Array, Y_nm: Array, errors_nm: Array, keep_m: Array, manner: Manner, priors: Sequence[Prior | None] = ()
) -> Calibration:
    """The calibration from results in the order in which they came; the rest as in `surrogate.fit`."""
    expected = tuple(priors) if any(prior is not None for prior in priors) else ()
    results = X_nf.tobytes(), Y_nm.tobytes(), errors_nm.tobytes()
    return _calibrate(*results, keep_m.tobytes(), len(X_nf), len(keep_m), manner, expected)


def stacked(members: Sequence[Hyperparameters]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lengthscales (k, f), noise variances (k, 1), means (k,)."""
    return (
        torch.from_numpy(np.array([member.lengthscales_f for member in members])),
        torch.tensor([[member.noise] for member in members], dtype=torch.double),
        torch.tensor([member.mean for member in members], dtype=torch.double),
    )


@lru_cache(maxsize=_KEPT)
def _calibrate(
    X: bytes, Y: bytes, errors: bytes, keep: bytes, n: int, m: int, manner: Manner, priors: tuple[Prior | None, ...]
) -> Calibration:
    X_nf, Y_nm, errors_nm = (np.frombuffer(part).reshape(n, -1) for part in (X, Y, errors))
    keep_m = np.frombuffer(keep)
    if priors:
        return _left_over(X_nf, Y_nm, errors_nm, keep_m, manner, priors)
    scales = [
        Scale.of(Y_nm, keep_m, np.where(np.arange(m) == 0, strength, 0.0))
        for strength in (STRENGTHS if manner.warp else STRENGTHS[:1])
    ]
    candidates = [_Candidate.fitted(X_nf, Y_nm, errors_nm, scale, manner) for scale in scales]
    best = candidates[0] if len(candidates) == 1 else max(candidates, key=_Candidate.evidence)
    return Calibration(best.scale, best.fits(), (None,) * m)


def _left_over(
    X_nf: Array, Y_nm: Array, errors_nm: Array, keep_m: Array, manner: Manner, priors: Sequence[Prior | None]
) -> Calibration:
    """The units and hyperparameters of what the priors leave over."""
    scale, known = Scale.of(Y_nm, keep_m), list(priors)
    X, Z_nm = torch.tensor(X_nf), torch.from_numpy(scale.apply(Y_nm))
    for j, prior in enumerate(known):
        if prior is not None:
            unit = prior.left_over(X, Z_nm[:, j])
            scale, known[j] = scale.finer(j, unit), prior.in_units_of(unit)
    return Calibration(scale, _Candidate.fitted(X_nf, Y_nm, errors_nm, scale, manner, known).fits(), tuple(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A scale with the most probable hyperparameters under it, of outcomes without what the priors expect."""

    scale: Scale
    modes: list[Hyperparameters]
    X_nf: torch.Tensor
    Y_nm: Array
    Z_nm: torch.Tensor
    known_nm: torch.Tensor
    manner: Manner

    @classmethod
    def fitted(
        cls,
        X_nf: Array,
        Y_nm: Array,
        errors_nm: Array,
        scale: Scale,
        manner: Manner,
        priors: Sequence[Prior | None] = (),
    ) -> _Candidate:
        part = np.unique(np.linspace(0, len(X_nf) - 1, min(len(X_nf), _MOST)).round().astype(np.intp))
        X, Z_nm = torch.from_numpy(X_nf[part]), torch.from_numpy(scale.apply(Y_nm[part]))
        for j, prior in enumerate(priors):
            if prior is not None:
                Z_nm[:, j] -= prior(X)
        known_nm = torch.from_numpy(scale.variances(Y_nm[part], errors_nm[part]))
        modes = [
            posterior_mode(
                X,
                z_n,
                dimensions=manner.dimensions,
                kernel=manner.kernel,
                shortest=manner.shortest,
                bent_f=manner.bent_f,
                known_n=known_n,
            )
            for z_n, known_n in zip(Z_nm.T, known_nm.T, strict=True)
        ]
        return cls(scale=scale, modes=modes, X_nf=X, Y_nm=Y_nm[part], Z_nm=Z_nm, known_nm=known_nm, manner=manner)

    def evidence(self) -> float:
        """The log density of the outcome itself, not of what a warp makes of it (Snelson et al., 2004, equation 5)."""
        density_1, _ = log_density(
            self.modes[0].theta_p[None],
            self.X_nf,
            self.Z_nm[:, 0],
            dimensions=self.manner.dimensions,
            kernel=self.manner.kernel,
            known_n=self.known_nm[:, 0],
        )
        slopes = float(self.scale.log_slopes(self.Y_nm)[0])
        return density_1.item() + slopes - (_DOUBT if self.scale.strength_m[0] > 0 else 0.0)

    def fits(self) -> tuple[Fit, ...]:
        return tuple(
            Fit(mode, self._members(z_n, known_n, mode))
            for z_n, known_n, mode in zip(self.Z_nm.T, self.known_nm.T, self.modes, strict=True)
        )

    def _members(self, z_n: torch.Tensor, known_n: torch.Tensor, mode: Hyperparameters) -> tuple[Hyperparameters, ...]:
        if self.manner.members == 1:
            return (mode,)
        sample, _ = posterior_sample(
            self.X_nf,
            z_n,
            mode,
            members=self.manner.members,
            dimensions=self.manner.dimensions,
            kernel=self.manner.kernel,
            shortest=self.manner.shortest,
            bent_f=self.manner.bent_f,
            known_n=known_n,
        )
        return tuple(sample)
