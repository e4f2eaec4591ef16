"""Independent Gaussian processes, one per outcome, over the encoded configurations.

Matern-5/2 or another kernel with a lengthscale per column under the dimension-scaled log-normal prior of Hvarfner et
al. (2024, arXiv:2402.02229, section 5), zero-mean unit-variance outcomes, inferred noise; hyperparameters at the
maximum of the posterior, or several plausible ones side by side. The fit is a function of the data alone.

Legend: n observations, t test points, f columns, m outcomes, k members; Y_nm is minimised; double precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.calibration import Manner, calibrate, stacked
from paretune.algorithms._gp.input_warp import Bent
from paretune.algorithms._gp.model import predict
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import SHORTEST, Hyperparameters
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.process import Posterior, condition
from paretune.algorithms._gp.settings import Kernel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A fitted model of the standardised outcomes, and the way back to their own units.

    `X_nf`, `Z_nm` and `known_nm` are the model inputs, the standardised outcomes and the known part of their noise
    variances; `noises` are the members' variances of one more outcome, for each of the m a tensor of shape (k,).
    """

    posteriors: tuple[Posterior, ...]
    scale: Scale
    modes: tuple[Hyperparameters, ...]
    noises: tuple[torch.Tensor, ...]
    X_nf: Array
    Z_nm: Array
    known_nm: Array

    def predict(self, X_tf: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free minimised outcomes in their own units; shapes (t, m)."""
        return predict(self, X_tf)

    def hyperparameters(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Plain data per outcome: lengthscales by column; noise, outputscale (standard deviations) in its units."""
        return [
            {
                "lengthscales": dict(zip(labels, mode.lengthscales_f.tolist(), strict=True)),
                "noise": math.sqrt(mode.noise) * unit,
                "outputscale": unit,
            }
            for mode, unit in zip(self.modes, self.scale.own_units_m().tolist(), strict=True)
        ]


def fit(
    X_nf: Array,
    Y_nm: Array,
    *,
    dimensions: int,
    kernel: Kernel = "matern52",
    errors_nm: Array | None = None,
    keep_m: Array | None = None,
    shortest: float = SHORTEST,
    members: int = 1,
    settled: int | None = None,
    warp: bool = False,
    bent_f: Bent | None = None,
    priors: Sequence[Prior | None] | None = None,
) -> Surrogate:
    """Fit a surrogate; `dimensions` is the number of parameters that the lengthscale prior is scaled to.

    `errors_nm` are the outcomes' known standard errors, 0 where there is none; noise is inferred on top of them.
    `keep_m` are values that stay distinguishable from worse ones however large they are (limits, references); shape
    (m,), not finite where there is none. `shortest` bounds the lengthscales from below. With `members` above 1 each
    outcome's posterior holds so many plausible sets of hyperparameters; `modes` are the most probable ones. Units and
    hyperparameters are taken from the first `settled` results (from all, by default). With `warp` a single outcome may
    be drawn in at its upper end (see `calibration`); `bent_f` says which columns may be bent (see `input_warp`).
    `priors` are means known beforehand, in standardised units, one per outcome: the process models what they leave
    over, and no outcome is warped.
    """
    manner = Manner(dimensions=dimensions, kernel=kernel, shortest=shortest, members=members, warp=warp, bent_f=bent_f)
    keep = np.full(Y_nm.shape[1], np.nan) if keep_m is None else keep_m
    errors_nm = np.zeros_like(Y_nm) if errors_nm is None else errors_nm
    calibration = calibrate(X_nf[:settled], Y_nm[:settled], errors_nm[:settled], keep, manner, priors or ())
    Z_nm, known_nm = calibration.scale.apply(Y_nm), calibration.scale.variances(Y_nm, errors_nm)
    X = torch.from_numpy(X_nf)
    grown = [
        _posterior(X, torch.from_numpy(z_n), torch.from_numpy(known_n), fitted.members, kernel, prior)
        for z_n, known_n, fitted, prior in zip(Z_nm.T, known_nm.T, calibration.fits, calibration.priors, strict=True)
    ]
    return Surrogate(
        posteriors=tuple(posterior for posterior, _ in grown),
        scale=calibration.scale,
        modes=tuple(fitted.mode for fitted in calibration.fits),
        noises=tuple(noise_k for _, noise_k in grown),
        X_nf=X_nf,
        Z_nm=Z_nm,
        known_nm=known_nm,
    )


def _posterior(
    X_nf: torch.Tensor,
    z_n: torch.Tensor,
    known_n: torch.Tensor,
    members: Sequence[Hyperparameters],
    kernel: Kernel,
    prior: Prior | None,
) -> tuple[Posterior, torch.Tensor]:
    """What is known of an outcome, and the noise variance of one more result; shape (k,)."""
    lengths_kf, noise_k1, mean_k = stacked(members)
    powers = [member.powers_2f for member in members if member.powers_2f is not None]
    posterior = condition(
        X_nf,
        z_n,
        lengths_kf=lengths_kf,
        noise_kn=noise_k1 + known_n,
        mean_k=mean_k,
        kernel=kernel,
        powers_2k1f=torch.from_numpy(np.stack(powers, axis=1))[:, :, None] if powers else None,
        prior=prior,
    )
    return posterior, (noise_k1 + known_n).mean(-1)
