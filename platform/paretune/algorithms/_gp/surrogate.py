"""Independent Gaussian processes, one per outcome, over the encoded configurations.

Matern-5/2 with a lengthscale per column under the dimension-scaled log-normal prior of Hvarfner et al. (2024,
arXiv:2402.02229, section 5), zero-mean unit-variance outcomes, inferred noise; hyperparameters at the maximum of the
posterior. The fit starts from the priors' modes and draws nothing, so it is a function of the data alone.

Legend: n observations, t test points, f columns, m outcomes; Y_nm is minimised; tensors are double precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from botorch.models import SingleTaskGP
from gpytorch.kernels import MaternKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ConstantMean

from paretune.algorithms._gp.posterior_mode import SHORTEST, Hyperparameters, posterior_mode

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """How outcomes are standardised: z = (min(y, ceiling) - center) / spread, all of shape (m,)."""

    center_m: Array
    spread_m: Array
    ceiling_m: Array

    def bound(self, Y_nm: Array) -> Array:
        """Outcomes with what is beyond the ceiling brought down to it."""
        return np.minimum(Y_nm, self.ceiling_m)

    def apply(self, Y_nm: Array) -> Array:
        """Outcomes in standardised units."""
        return np.asarray((self.bound(Y_nm) - self.center_m) / self.spread_m)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A fitted model of the standardised outcomes, and the way back to their own units."""

    model: SingleTaskGP
    scale: Scale
    modes: tuple[Hyperparameters, ...]

    def predict(self, X_tf: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free minimised outcomes in their own units; shapes (t, m)."""
        with torch.no_grad():
            posterior = self.model.posterior(torch.from_numpy(X_tf))
        mean_tm, variance_tm = posterior.mean.numpy(), posterior.variance.numpy()
        return (
            self.scale.center_m + self.scale.spread_m * mean_tm,
            self.scale.spread_m * np.sqrt(np.maximum(variance_tm, 0.0)),
        )

    def hyperparameters(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Plain data per outcome: lengthscales by column; noise, outputscale (standard deviations) in its units."""
        return [
            {
                "lengthscales": dict(zip(labels, mode.lengthscales_f.tolist(), strict=True)),
                "noise": math.sqrt(mode.noise) * spread,
                "outputscale": spread,
            }
            for mode, spread in zip(self.modes, self.scale.spread_m.tolist(), strict=True)
        ]


def fit(
    X_nf: Array, Y_nm: Array, *, dimensions: int, keep_m: Array | None = None, shortest: float = SHORTEST
) -> Surrogate:
    """Fit a surrogate; `dimensions` is the number of parameters that the lengthscale prior is scaled to.

    Values above the upper quartile plus three interquartile ranges (Tukey's outer fence) count as at the fence: one
    exploded loss would otherwise flatten all differences that matter. `keep_m` are values that stay distinguishable
    from worse ones all the same (limits, references); shape (m,), not finite where there is none. `shortest` bounds the
    lengthscales from below.
    """
    scale = _scale(Y_nm, keep_m)
    X, Z_nm = torch.from_numpy(X_nf), torch.from_numpy(scale.apply(Y_nm))
    modes = [posterior_mode(X, z_n, dimensions=dimensions, shortest=shortest) for z_n in Z_nm.T]
    return Surrogate(_model(X, Z_nm, modes).eval(), scale, tuple(modes))


def _scale(Y_nm: Array, keep_m: Array | None) -> Scale:
    lower_m, upper_m = np.quantile(Y_nm, [0.25, 0.75], axis=0)
    reach_m = upper_m - lower_m
    ceiling_m = upper_m + 3 * reach_m
    if keep_m is not None:
        ceiling_m = np.where(np.isfinite(keep_m), np.maximum(ceiling_m, keep_m + reach_m), ceiling_m)
    ceiling_m = np.where(reach_m > 0, ceiling_m, np.inf)  # half of the values are equal: no scale to judge by
    kept_nm = np.minimum(Y_nm, ceiling_m)
    center_m, spread_m = kept_nm.mean(axis=0), kept_nm.std(axis=0)
    size_m = np.where(center_m == 0, 1.0, np.abs(center_m))
    alike_m = spread_m <= 1e-12 * size_m  # what rounding alone makes of equal values
    return Scale(center_m, np.where(alike_m, size_m, spread_m), ceiling_m)


def _model(X_nf: torch.Tensor, Z_nm: torch.Tensor, modes: Sequence[Hyperparameters]) -> SingleTaskGP:
    """BoTorch's model of all outcomes at once, with given hyperparameters."""
    m = len(modes)
    batch = torch.Size([m]) if m > 1 else torch.Size()
    kernel = MaternKernel(nu=2.5, ard_num_dims=X_nf.shape[-1], batch_shape=batch)
    mean, likelihood = ConstantMean(batch_shape=batch), GaussianLikelihood(batch_shape=batch)
    model = SingleTaskGP(
        X_nf, Z_nm, covar_module=kernel, mean_module=mean, likelihood=likelihood, outcome_transform=None
    )
    kernel.lengthscale = torch.from_numpy(np.array([mode.lengthscales_f for mode in modes])).reshape(*batch, 1, -1)
    mean.constant = torch.tensor([mode.mean for mode in modes], dtype=torch.double).reshape(batch)
    likelihood.noise = torch.tensor([mode.noise for mode in modes], dtype=torch.double).reshape(*batch, 1)
    return model
