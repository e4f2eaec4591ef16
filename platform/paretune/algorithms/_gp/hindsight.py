"""The surrogate of one outcome of a study, looked at afterwards: what it expects where trials were, how well it fits.

Legend: n results, f columns; y_n minimised values in the metric's own units; z standardised ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.posterior_mode import LONGEST, SHORTEST
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.space import Config, Space

Array = npt.NDArray[np.float64]

_SEED = 0  # the fit draws nothing; should a library begin to, equal results still give equal answers
_LARGEST = 1e100  # squares of larger values are not numbers any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """Of n results, in their order: the mean without noise and its standard deviation; what was predicted for each
    result from the n - 1 others, noise included; and the residuals of that in standard deviations.

    `noise` and `spread` are standard deviations, of a repeated trial and of all results; `lengthscales` are in units of
    a parameter's range, by column, between `shortest` and `longest`.
    """

    mean_n: Array
    sd_n: Array
    left_out_mean_n: Array
    left_out_sd_n: Array
    residual_n: Array
    noise: float
    spread: float
    lengthscales: Mapping[str, float]
    shortest: float = SHORTEST
    longest: float = LONGEST


def hindsight(space: Space, configs: Sequence[Config], y_n: Array) -> Hindsight:
    """Fit the surrogate to results, at least two, and question it about them."""
    encoding = Encoding(space)
    X_nf = encoding.features(configs)
    with reproducible(_SEED):
        surrogate = fit(X_nf, np.clip(y_n, -_LARGEST, _LARGEST)[:, None], dimensions=len(space))
        mean_n1, sd_n1 = surrogate.predict(X_nf)
        z_n, sd_z_n, residual_n = leave_one_out(surrogate)
    (found,) = surrogate.hyperparameters(encoding.labels)
    center, spread = surrogate.scale.center_m[0], surrogate.scale.spread_m[0]
    return Hindsight(
        mean_n=mean_n1[:, 0],
        sd_n=sd_n1[:, 0],
        left_out_mean_n=center + spread * z_n,
        left_out_sd_n=spread * sd_z_n,
        residual_n=residual_n,
        noise=found["noise"],
        spread=found["outputscale"],
        lengthscales=found["lengthscales"],
    )


def leave_one_out(surrogate: Surrogate) -> tuple[Array, Array, Array]:
    """Of each result given the others, noise included: mean and standard deviation, standardised, and the residual in
    standard deviations; shapes (n,).

    In closed form, hyperparameters held: Rasmussen and Williams (2006), equation 5.12.
    """
    model = surrogate.model
    model.train()
    try:
        with torch.no_grad():
            prior = model.likelihood(model(*model.train_inputs))
            inverse_nn = torch.cholesky_inverse(torch.linalg.cholesky(prior.covariance_matrix))
            weights_n = inverse_nn @ (model.train_targets - prior.mean)
            precision_n = inverse_nn.diagonal()
            mean_n = model.train_targets - weights_n / precision_n
    finally:
        model.eval()
    return mean_n.numpy(), precision_n.rsqrt().numpy(), (weights_n / precision_n.sqrt()).numpy()
