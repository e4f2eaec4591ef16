"""Plausible hyperparameters besides the most probable ones, by Hamiltonian Monte Carlo.

With few observations many sets of hyperparameters explain them, and a search that believes in one alone can be led
astray for long. Chains start at the mode, all at once, in coordinates in which the posterior's curvature there is one
(Neal, 2011, arXiv:1206.1901, sections 2.3 and 4.1). What the mode has at a bound stays there: the density still rises
towards it, so that a chain free to leave would be thrown back, and every proposal refused. The numbers drawn are always
the same ones: the members are a function of the data.

Legend: k members, n observations, f columns, p hyperparameters; theta as in `posterior_mode`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.input_warp import Bent
from paretune.algorithms._gp.levels import Levels
from paretune.algorithms._gp.posterior_mode import NOISES, SHORTEST, Hyperparameters, bounds, log_density
from paretune.algorithms._gp.settings import Kernel

Array = npt.NDArray[np.float64]

_SEED = 0
_TRAJECTORIES = 2
_STEPS = 3
_STEP = 0.5
"""In units of the posterior's width. A quarter of an oscillation in all: from the mode it leads furthest away."""
_SOFTEST = 1 / 3  # curvature that the priors alone give a lengthscale's logarithm; less is taken for an accident
_AT_BOUND = 0.1  # of a logarithm: the climb ends a little before


def posterior_sample(
    X_nf: torch.Tensor,
    z_n: torch.Tensor,
    mode: Hyperparameters,
    *,
    members: int,
    dimensions: int,
    kernel: Kernel = "matern52",
    shortest: float = SHORTEST,
    noises: tuple[float, float] = NOISES,
    bent_f: Bent | None = None,
    known_n: torch.Tensor | None = None,
    levels: Levels | None = None,
) -> tuple[list[Hyperparameters], float]:
    """`members` sets of hyperparameters drawn from their posterior given outcomes z_n at X_nf; see `posterior_mode`.

    And the logarithm of the posterior's width around the mode, up to a constant, of what is not at its bounds: with the
    density at the mode it makes Laplace's approximation of the evidence.
    """
    rng = np.random.default_rng(_SEED)
    f, q = X_nf.shape[1], len(mode.ties_q)
    low_p, high_p = bounds(f, q, shortest=shortest, noises=noises, bent_f=bent_f)

    def density(theta_kp: Array) -> tuple[Array, Array]:
        return log_density(theta_kp, X_nf, z_n, dimensions=dimensions, kernel=kernel, known_n=known_n, levels=levels)

    free_p = (low_p + _AT_BOUND < mode.theta_p) & (mode.theta_p < high_p - _AT_BOUND)
    root_pp, log_width = _root(density, mode.theta_p, free_p)
    theta_kp = np.tile(mode.theta_p, (members, 1))
    value_k, gradient_kp = density(theta_kp)
    for _ in range(_TRAJECTORIES):
        start_kp = rng.standard_normal(theta_kp.shape)
        there_kp, momentum_kp, there_gradient_kp = theta_kp, start_kp, gradient_kp
        for _ in range(_STEPS):
            momentum_kp = momentum_kp + _STEP / 2 * there_gradient_kp @ root_pp
            there_kp = np.clip(there_kp + _STEP * momentum_kp @ root_pp.T, low_p, high_p)
            there_value_k, there_gradient_kp = density(there_kp)
            momentum_kp = momentum_kp + _STEP / 2 * there_gradient_kp @ root_pp
        gain_k = there_value_k - value_k + ((start_kp**2).sum(1) - (momentum_kp**2).sum(1)) / 2
        accepted_k = np.log(rng.random(members)) < gain_k
        theta_kp = np.where(accepted_k[:, None], there_kp, theta_kp)
        value_k = np.where(accepted_k, there_value_k, value_k)
        gradient_kp = np.where(accepted_k[:, None], there_gradient_kp, gradient_kp)
    return [Hyperparameters.of(theta_p, f, q) for theta_p in theta_kp], log_width


def _root(
    density: Callable[[Array], tuple[Array, Array]], mode_p: Array, free_p: npt.NDArray[np.bool_]
) -> tuple[Array, float]:
    """R with R R' the inverse of the curvature at the mode, by differences of the gradient; shape (p, p).

    Zero in the rows of what is not free. And the logarithm of the determinant of what is.
    """
    step = 1e-3
    shifts_pp = step * np.eye(len(mode_p))
    ahead_pp, behind_pp = density(mode_p + shifts_pp)[1], density(mode_p - shifts_pp)[1]
    curvature_pp = (behind_pp - ahead_pp) / (2 * step)
    free_pp = ((curvature_pp + curvature_pp.T) / 2)[np.ix_(free_p, free_p)]
    values_p, vectors_pp = np.linalg.eigh(free_pp)
    values_p = np.maximum(values_p, _SOFTEST)
    root_pp = np.zeros_like(curvature_pp)
    root_pp[np.ix_(free_p, free_p)] = vectors_pp / np.sqrt(values_p)
    return root_pp, float(-0.5 * np.log(values_p).sum())
