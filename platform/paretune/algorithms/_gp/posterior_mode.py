"""The most probable hyperparameters of a Gaussian process, found with an analytic gradient.

The quantity is that of GPyTorch's `ExactMarginalLogLikelihood`, times n: the log marginal likelihood plus the log
priors (Rasmussen and Williams, 2006, equations 2.30 and 5.9). Written out, one evaluation takes a tenth of the time
that building GPyTorch's lazy graph does.

Legend: k sets of hyperparameters at once, n observations, f columns, q ties of levels, p hyperparameters: f + 2, or
3 f + 2 where columns may be bent, and 2 q more where observations are of several levels; B_knf = X_nf, bent if so,
S_knf = B_knf / lengthscales; W_knn = a a' - inverse(K), a = inverse(K) r, r residuals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from paretune.algorithms._gp.input_warp import POWERS, PRIOR_SCALE, Bent, bend_with_slopes
from paretune.algorithms._gp.kernel import PROFILES
from paretune.algorithms._gp.levels import STRONGEST, TIE_PRIOR, Levels, correlations
from paretune.algorithms._gp.settings import Kernel

Array = npt.NDArray[np.float64]

SHORTEST, LONGEST = 0.025, 1e4
"""Bounds of a lengthscale: the lower one is BoTorch's, a fortieth of a parameter's range; beyond the upper one nothing
varies."""
NOISES = (1e-4, 1e2)
"""Bounds of the noise variance: the lower one is BoTorch's, a hundredth of the outcomes' standard deviation. The upper
ones keep the first steps of a climb from leaving the range of numbers."""

NOISE_PRIOR = (-3.0, 1.5)
"""Of the log noise variance. Wider than BoTorch's (-4, 1): one at a time and under a scheduler a little better in 370
searches, hardly beyond chance (BENCHMARKS.md)."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Of standardised outcomes: lengthscales (f,), noise variance, constant mean, powers (2, f) that bend columns.

    Of several levels the noise is the last one's, `noises_q` are the others', `ties_q` those between neighbours.
    """

    lengthscales_f: Array
    noise: float
    mean: float
    powers_2f: Array | None = None
    noises_q: Array = field(default_factory=lambda: np.zeros(0))
    ties_q: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, theta_p: Array, f: int, q: int = 0) -> Hyperparameters:
        """From theta = (log lengthscales, log noise, mean, log powers if there are any, log noises, ties)."""
        powers_p, (noises_q, ties_q) = (
            theta_p[f + 2 : len(theta_p) - 2 * q],
            theta_p[len(theta_p) - 2 * q :].reshape(2, q),
        )
        powers_2f = np.exp(powers_p).reshape(2, f) if len(powers_p) else None
        return cls(
            np.exp(theta_p[:f]), math.exp(theta_p[f]), float(theta_p[f + 1]), powers_2f, np.exp(noises_q), ties_q
        )

    @property
    def theta_p(self) -> Array:
        """As one vector; shape (p,)."""
        straight_p = np.array([*np.log(self.lengthscales_f), math.log(self.noise), self.mean])
        powers_p = np.zeros(0) if self.powers_2f is None else np.log(self.powers_2f).ravel()
        return np.concatenate([straight_p, powers_p, np.log(self.noises_q), self.ties_q])


def lengthscale_prior(dimensions: int) -> tuple[float, float]:
    """Location and scale of the log-normal prior, growing with the square root of the dimension.

    Hvarfner et al. (2024, arXiv:2402.02229), section 5.
    """
    return math.sqrt(2) + math.log(dimensions) / 2, math.sqrt(3)


def posterior_mode(
    X_nf: torch.Tensor,
    z_n: torch.Tensor,
    *,
    dimensions: int,
    kernel: Kernel = "matern52",
    shortest: float = SHORTEST,
    noises: tuple[float, float] = NOISES,
    bent_f: Bent | None = None,
    known_n: torch.Tensor | None = None,
    levels: Levels | None = None,
) -> Hyperparameters:
    """The better of the climbs from the prior's mode and from its median, by L-BFGS-B over logarithms.

    `shortest` bounds the lengthscales from below, `noises` the noise variance on both sides. `bent_f` says which
    columns may be bent, none by default. `known_n` are variances of the outcomes that are known beforehand, which that
    noise comes on top of. `levels` says which of several related outcomes each is of, one by default.
    """
    location, scale = lengthscale_prior(dimensions)
    n, f = X_nf.shape
    q = 0 if levels is None else levels.count - 1
    straight = [] if bent_f is None else [0.0] * (2 * f)
    related = [NOISE_PRIOR[0] - 1.0] * q + [TIE_PRIOR[0]] * q

    def negative(theta_p: Array) -> tuple[float, Array]:
        value_k, gradient_kp = log_density(
            theta_p[None], X_nf, z_n, dimensions=dimensions, kernel=kernel, known_n=known_n, levels=levels
        )
        return -value_k.item() / n, -gradient_kp[0] / n

    climbs = [
        minimize(
            negative,
            [*[start] * f, NOISE_PRIOR[0] - 1.0, 0.0, *straight, *related],
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack(bounds(f, q, shortest=shortest, noises=noises, bent_f=bent_f), axis=1),
            options={"maxiter": 60, "ftol": 1e-6, "gtol": 1e-3},
        )
        for start in (location - scale**2, location)
    ]
    return Hyperparameters.of(min(climbs, key=lambda climb: float(climb.fun)).x, f, q)


def bounds(
    f: int, q: int = 0, *, shortest: float = SHORTEST, noises: tuple[float, float] = NOISES, bent_f: Bent | None = None
) -> tuple[Array, Array]:
    """The lowest and the highest theta; shapes (p,)."""
    (low, high), (quiet, loud) = np.log((shortest, LONGEST)), np.log(noises)
    bendable = np.array((bent_f or ()) * 2, dtype=np.float64)
    least_p = [*[low] * f, quiet, -np.inf, *bendable * np.log(POWERS[0]), *[quiet] * q, *[-STRONGEST] * q]
    most_p = [*[high] * f, loud, np.inf, *bendable * np.log(POWERS[1]), *[loud] * q, *[STRONGEST] * q]
    return np.array(least_p), np.array(most_p)


def log_density(
    theta_kp: Array,
    X_nf: torch.Tensor,
    z_n: torch.Tensor,
    *,
    dimensions: int,
    kernel: Kernel = "matern52",
    known_n: torch.Tensor | None = None,
    levels: Levels | None = None,
) -> tuple[Array, Array]:
    """Log posterior densities and their gradients at theta (see `Hyperparameters.of`); shapes (k,) and (k, p).

    The noise of outcome i has variance noise + known_n[i], that of its level.

    Distances and the gradient are matrix products, never differences per column, whose memory traffic is f n^2: of 200
    points an evaluation takes 1.9 ms instead of 16 in 50 columns, 1.1 instead of 1.8 in 6.
    """
    n, f = X_nf.shape
    theta = torch.from_numpy(theta_kp)
    q = 0 if levels is None else levels.count - 1
    end = theta.shape[1] - 2 * q  # of what there is with one level too
    noise_k, mean_k = torch.exp(theta[:, f]), theta[:, f + 1]
    noises_kq, ties_kq = torch.exp(theta[:, end : end + q]), theta[:, end + q :]

    B_knf, slopes_2knf = X_nf, None
    if end > f + 2:
        B_knf, slopes_2knf = bend_with_slopes(
            X_nf, torch.exp(theta[:, f + 2 : end]).reshape(-1, 2, 1, f).swapaxes(0, 1)
        )
    shrink_k1f = torch.exp(-theta[:, None, :f])
    S_knf = B_knf * shrink_k1f
    square_kn = (S_knf**2).sum(-1)
    distances_knn = torch.baddbmm(square_kn[:, :, None] + square_kn[:, None, :], S_knf, S_knf.mT, alpha=-2)
    distances_knn.clamp_(min=0.0).diagonal(dim1=-2, dim2=-1).zero_()  # the products may leave a rest of rounding
    K_knn, fall = PROFILES[kernel](distances_knn)
    alike_knn = K_knn
    if levels is not None:
        between_knn = levels.between(correlations(ties_kq))
        K_knn = alike_knn * between_knn
    noise_kn = noise_k[:, None] if levels is None else levels.noises(noise_k, noises_kq)
    K_knn.diagonal(dim1=-2, dim2=-1).add_(noise_kn if known_n is None else noise_kn + known_n)
    L_knn = torch.linalg.cholesky(K_knn)
    inverse_knn = torch.cholesky_inverse(L_knn)
    residual_kn = z_n - mean_k[:, None]
    a_kn = (inverse_knn @ residual_kn[:, :, None])[:, :, 0]

    log_determinant_k = 2 * L_knn.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    fit_k = -0.5 * ((residual_kn * a_kn).sum(-1) + log_determinant_k + n * math.log(2 * math.pi))
    W_knn = a_kn[:, :, None] * a_kn[:, None, :] - inverse_knn
    V_knn = W_knn * fall() if levels is None else W_knn * fall() * between_knn
    pull_knf = S_knf * V_knn.sum(-1)[:, :, None] - V_knn @ S_knf  # minus the gradient by S
    by_length_kf = (S_knf * pull_knf).sum(1)
    by_noise_kn = 0.5 * noise_kn * W_knn.diagonal(dim1=-2, dim2=-1)
    by_noise_kr = by_noise_kn.sum(-1, keepdim=True) if levels is None else levels.by_level(by_noise_kn)
    parts = [by_length_kf, by_noise_kr[:, -1:], a_kn.sum(-1)[:, None]]
    if slopes_2knf is not None:
        parts += [*-(slopes_2knf * shrink_k1f * pull_knf).sum(2)]
    if levels is not None:
        parts += [by_noise_kr[:, :-1], levels.by_tie(ties_kq, 0.5 * W_knn * alike_knn)]
    gradient_kp = torch.cat(parts, dim=1).numpy()

    location, scale = lengthscale_prior(dimensions)
    lengths, noises = np.arange(f), np.array([f, *range(end, end + q)])
    prior_k = np.zeros(len(theta_kp))
    for places, (middle, width) in ((lengths, (location, scale)), (noises, NOISE_PRIOR)):
        prior_k += log_normal(theta_kp[:, places], middle, width).sum(axis=1)
        gradient_kp[:, places] -= (theta_kp[:, places] - middle) / width**2 + 1
    powers, ties = slice(f + 2, end), slice(end + q, None)
    for part, (middle, width) in ((powers, (0.0, PRIOR_SCALE)), (ties, TIE_PRIOR)):
        prior_k -= 0.5 * (((theta_kp[:, part] - middle) / width) ** 2).sum(axis=1)  # 0 at the middle
        gradient_kp[:, part] -= (theta_kp[:, part] - middle) / width**2
    return fit_k.numpy() + prior_k, gradient_kp


def log_normal(logs: Array, location: float, scale: float) -> Array:
    """The log-normal density's logarithm at exp(logs)."""
    return np.asarray(-0.5 * ((logs - location) / scale) ** 2 - logs - math.log(scale * math.sqrt(2 * math.pi)))
