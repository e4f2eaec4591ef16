"""The most probable hyperparameters of a Gaussian process, found with an analytic gradient.

The quantity is that of GPyTorch's `ExactMarginalLogLikelihood`: the log marginal likelihood plus the log priors, per
observation (Rasmussen and Williams, 2006, equations 2.30 and 5.9). Written out, one evaluation takes a tenth of the
time that building GPyTorch's lazy graph does.

Legend: n observations, f columns; S_nf = X_nf / lengthscales; W_nn = a a' - inverse(K), a = inverse(K) r, r residuals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

SHORTEST, LONGEST = 0.025, 1e4
"""Bounds of a lengthscale: the lower one is BoTorch's, a fortieth of a parameter's range; beyond the upper one nothing
varies."""
NOISES = (1e-4, 1e2)
"""Bounds of the noise variance: the lower one is BoTorch's, a hundredth of the outcomes' standard deviation. The upper
ones keep the first steps of a climb from leaving the range of numbers."""

_NOISE_PRIOR = (-4.0, 1.0)  # of log noise variance: Hvarfner et al. (2024), as in BoTorch


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Of standardised outcomes: lengthscales (f,), noise variance, constant mean; and their log density."""

    lengthscales_f: Array
    noise: float
    mean: float
    density: float


def lengthscale_prior(dimensions: int) -> tuple[float, float]:
    """Location and scale of the log-normal prior, growing with the square root of the dimension.

    Hvarfner et al. (2024, arXiv:2402.02229), section 5.
    """
    return math.sqrt(2) + math.log(dimensions) / 2, math.sqrt(3)


def posterior_mode(
    X_nf: torch.Tensor, z_n: torch.Tensor, *, dimensions: int, shortest: float = SHORTEST
) -> Hyperparameters:
    """The better of the climbs from the prior's mode and from its median, by L-BFGS-B over logarithms."""
    location, scale = lengthscale_prior(dimensions)
    f = X_nf.shape[-1]
    lengths, noises = ((math.log(low), math.log(high)) for low, high in ((shortest, LONGEST), NOISES))
    bounds = [*[lengths] * f, noises, (None, None)]

    def negative(theta: Array) -> tuple[float, Array]:
        value, gradient = log_density(theta, X_nf, z_n, dimensions=dimensions)
        return -value, -gradient

    climbs = [
        minimize(negative, [*[start] * f, _NOISE_PRIOR[0] - 1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
        for start in (location - scale**2, location)
    ]
    best = min(climbs, key=lambda climb: float(climb.fun))
    return Hyperparameters(np.exp(best.x[:f]), math.exp(best.x[f]), float(best.x[f + 1]), -float(best.fun))


def log_density(theta: Array, X_nf: torch.Tensor, z_n: torch.Tensor, *, dimensions: int) -> tuple[float, Array]:
    """Log posterior density per observation and its gradient at theta = (log lengthscales, log noise, mean).

    Distances and the gradient are matrix products, never differences per column, whose memory traffic is f n^2: of 200
    points an evaluation takes 1.9 ms instead of 16 in 50 columns, 1.1 instead of 1.8 in 6.
    """
    n, f = X_nf.shape
    lengths_f, noise, mean = torch.exp(torch.from_numpy(theta[:f])), math.exp(theta[f]), float(theta[f + 1])

    S_nf = X_nf / lengths_f
    square_n = (S_nf**2).sum(1)
    root5r_nn = torch.addmm(square_n[:, None] + square_n, S_nf, S_nf.T, alpha=-2).clamp_(min=0.0).mul_(5).sqrt_()
    root5r_nn.fill_diagonal_(0.0)  # where the products may leave a rest of rounding
    decay_nn = torch.exp(-root5r_nn)
    K_nn = (1 + root5r_nn + root5r_nn**2 / 3) * decay_nn
    K_nn.diagonal().add_(noise)
    L_nn = torch.linalg.cholesky(K_nn)
    inverse_nn = torch.cholesky_inverse(L_nn)
    residual_n = z_n - mean
    a_n = inverse_nn @ residual_n

    fit = -0.5 * (residual_n @ a_n + 2 * L_nn.diagonal().log().sum() + n * math.log(2 * math.pi))
    W_nn = torch.outer(a_n, a_n) - inverse_nn
    V_nn = W_nn * (5 / 3 * (1 + root5r_nn) * decay_nn)
    by_length_f = (S_nf**2).T @ V_nn.sum(1) - (S_nf * (V_nn @ S_nf)).sum(0)  # sum of V (s_i - s_j)^2 / 2
    prior_f, by_prior_f = _log_normal(theta[:f], *lengthscale_prior(dimensions))
    noise_prior, by_noise_prior = _log_normal(theta[f : f + 1], *_NOISE_PRIOR)
    gradient = np.concatenate(
        [
            by_length_f.numpy() + by_prior_f,
            0.5 * noise * W_nn.diagonal().sum().numpy()[None] + by_noise_prior,
            a_n.sum().numpy()[None],
        ]
    )
    return (fit.item() + prior_f.sum() + noise_prior.sum()) / n, gradient / n


def _log_normal(logs: Array, location: float, scale: float) -> tuple[Array, Array]:
    """The log-normal density's logarithm at exp(logs), and its derivative by logs."""
    z = (logs - location) / scale
    return -0.5 * z**2 - logs - math.log(scale * math.sqrt(2 * math.pi)), -z / scale - 1.0
