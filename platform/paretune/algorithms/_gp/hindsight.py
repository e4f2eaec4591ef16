"""One outcome of a study, modelled to look back: what configurations give on average, how well the model fits.

A search may take noise for structure and lose little; what is said of a finished study may not. The most probable
hyperparameters alone underestimate noise, which the prior has small (with noise of 0.3 of the spread, 25 results and 3
parameters, their 90 % intervals held the true mean in 24 % of all cases). So models with little and with much noise
stand side by side, weighed by their evidence under a flat prior of the noise, and each with several plausible sets of
lengthscales, because the most probable ones alone are too sure of themselves as well. Of 60 short searches of ten
functions with noise of 5, 15 and 30 % of the range, 90 % intervals held the true mean of the configuration chosen after
20, 40 and 60 trials in 43, 62 and 72 % with the most probable hyperparameters, 65, 78 and 80 % with five noises, 82, 87
and 87 % like this; of all configurations in 57, 73 and 79, 72, 81 and 83, 82, 86 and 85 %.

Legend: n results, k models, f columns; y_n minimised values in the metric's own units, z_n standardised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.calibration import stacked
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import NOISE_PRIOR, Hyperparameters, log_density, log_normal, posterior_mode
from paretune.algorithms._gp.posterior_sample import posterior_sample
from paretune.algorithms._gp.process import Posterior, condition
from paretune.algorithms._gp.settings import Kernel
from paretune.space import Config, Space

Array = npt.NDArray[np.float64]

_SEED = 0  # the fit draws nothing; should a library begin to, equal results still give equal answers
_LARGEST = 1e100  # squares of larger values are not numbers any more

_NOISES = (1e-4, 0.01, 0.05, 0.2, 0.6)
"""Noise variances, in units of the outcomes', from a hundredth of their standard deviation to most of it."""

_QUIET = 0.01
"""The noise variance up to which noise is negligible: a tenth of the outcomes' standard deviation."""

_MEMBERS = 6  # sets of lengthscales for each noise
_UNLIKELY = 1e-3  # the weight below which a noise is left out

_MOST = 200
"""Results that hyperparameters are fitted to, evenly spaced in the study; the models know all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """Of n results, in their order: themselves, those that exploded held back; the mean without noise and its standard
    deviation; what the others make each one to be, noise included.

    `noise` and `spread` are standard deviations, of a repeated trial and of all results; `quiet` is the probability
    that noise is negligible. `lengthscales` are the most probable model's, in units of a parameter's range.
    """

    known_n: Array
    mean_n: Array
    sd_n: Array
    left_out_mean_n: Array
    left_out_sd_n: Array
    noise: float
    spread: float
    quiet: float
    lengthscales: Mapping[str, float]


def hindsight(
    space: Space,
    configs: Sequence[Config],
    y_n: Array,
    errors_n: Array | None = None,
    *,
    kernel: Kernel = "matern52",
) -> Hindsight:
    """Fit the models to results, at least two, and question them about these; `errors_n` are known standard errors."""
    encoding = Encoding(space)
    Y_n1 = np.clip(y_n, -_LARGEST, _LARGEST)[:, None]
    E_n1 = np.zeros_like(Y_n1) if errors_n is None else np.clip(errors_n, 0.0, _LARGEST)[:, None]
    X_nf = encoding.features(configs)
    return _hindsight(X_nf.tobytes(), Y_n1.tobytes(), E_n1.tobytes(), tuple(encoding.labels), len(space), kernel)


@lru_cache(maxsize=16)
def _hindsight(
    X: bytes, Y: bytes, errors: bytes, labels: tuple[str, ...], dimensions: int, kernel: Kernel
) -> Hindsight:
    """Kept, because the best trial, its interval and a diagnosis ask the same of the same results."""
    Y_n1, E_n1 = np.frombuffer(Y)[:, None], np.frombuffer(errors)[:, None]
    X_nf = torch.from_numpy(np.frombuffer(X).reshape(len(Y_n1), -1).copy())
    scale = Scale.of(Y_n1)
    z_n, known_n = (torch.from_numpy(part[:, 0]) for part in (scale.apply(Y_n1), scale.variances(Y_n1, E_n1)))
    with reproducible(_SEED), torch.no_grad():
        models, weights_k, mode = _models(X_nf, z_n, known_n, dimensions=dimensions, kernel=kernel)
        lengths_kf, noise_k1, mean_k = stacked(models)
        posterior = condition(
            X_nf, z_n, lengths_kf=lengths_kf, noise_kn=noise_k1 + known_n, mean_k=mean_k, kernel=kernel
        )
        mean_kn1, sd_kn1 = posterior(X_nf)
        mean_n, sd_n = _mixture(mean_kn1[..., 0], sd_kn1[..., 0], weights_k)
        left_out_mean_n, left_out_sd_n = _mixture(*leave_one_out(posterior, z_n), weights_k)
    variances_k = noise_k1[:, 0].numpy() + float(known_n.mean())
    spread = float(scale.own_units_m()[0])

    def own(means_n: Array, sds_n: Array) -> tuple[Array, Array]:
        means_n1, sds_n1 = scale.restore(means_n[:, None], sds_n[:, None])
        return means_n1[:, 0], sds_n1[:, 0]

    mean_n, sd_n = own(mean_n, sd_n)
    left_out_mean_n, left_out_sd_n = own(left_out_mean_n, left_out_sd_n)
    return Hindsight(
        known_n=scale.bound(Y_n1)[:, 0],
        mean_n=mean_n,
        sd_n=sd_n,
        left_out_mean_n=left_out_mean_n,
        left_out_sd_n=left_out_sd_n,
        noise=spread * math.sqrt(weights_k @ variances_k),
        spread=spread,
        quiet=float(weights_k[variances_k <= _QUIET].sum()),
        lengthscales=dict(zip(labels, mode.lengthscales_f.tolist(), strict=True)),
    )


def leave_one_out(posterior: Posterior, z_n: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each result given the others, noise included, under each model; shapes (k, n).

    In closed form, hyperparameters held: Rasmussen and Williams (2006), equation 5.12, with inverse(K) = L^-T L^-1.
    """
    precision_kn = (posterior.inverse_knn**2).sum(-2)
    pull_kn = (posterior.inverse_knn.mT @ posterior.whitened_kns)[..., 0]
    return z_n - pull_kn / precision_kn, precision_kn.rsqrt()


def _models(
    X_nf: torch.Tensor, z_n: torch.Tensor, known_n: torch.Tensor, *, dimensions: int, kernel: Kernel
) -> tuple[list[Hyperparameters], Array, Hyperparameters]:
    """Plausible hyperparameters for each noise; their weights, which sum to one, shape (k,); the most probable ones."""
    n = len(z_n)
    part = torch.from_numpy(np.unique(np.linspace(0, n - 1, min(n, _MOST)).round().astype(int)))
    X, z, known = X_nf[part], z_n[part], known_n[part]
    modes, members, evidence = [], [], []
    for noise in _NOISES:
        manner: Any = {"dimensions": dimensions, "kernel": kernel, "known_n": known}
        mode = posterior_mode(X, z, noises=(noise, noise), **manner)
        drawn, log_width = posterior_sample(X, z, mode, members=_MEMBERS, noises=(noise, noise), **manner)
        density, _ = log_density(mode.theta_p[None], X, z, **manner)
        modes.append(mode)
        members.append(drawn)
        evidence.append(float(density[0] - log_normal(np.log(noise), *NOISE_PRIOR)) + log_width)
    weight_v = np.exp(np.array(evidence) - max(evidence))
    kept = np.flatnonzero(weight_v > _UNLIKELY * weight_v.sum())
    weights_k = np.repeat(weight_v[kept], _MEMBERS)
    models = [model for i in kept for model in members[i]]
    return models, weights_k / weights_k.sum(), modes[int(np.argmax(evidence))]


def _mixture(mean_kn: torch.Tensor, sd_kn: torch.Tensor, weights_k: Array) -> tuple[Array, Array]:
    """Mean and standard deviation over the models; shapes (n,)."""
    means_kn, squares_kn = mean_kn.numpy(), (sd_kn**2 + mean_kn**2).numpy()
    mean_n = weights_k @ means_kn
    return mean_n, np.sqrt(np.maximum(weights_k @ squares_kn - mean_n**2, 1e-20))
