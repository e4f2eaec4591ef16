"""The probability that a trial ends with a result, from how the trials before it ended.

A Gaussian process on the labels 0 (ended well) and 1 (failed or diverged); the probability that the latent label is
below one half weighs the acquisition (constrained expected improvement: Gardner et al., 2014, equation 5).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.surrogate import fit
from paretune.algorithms._gp.transfer import Lessons, priors

Array = npt.NDArray[np.float64]

_SHORTEST = 0.3
"""Of a parameter's range. A step between 0 and 1 is fitted best by the shortest lengthscale allowed, and a short one
forgets a failure a few hundredths away. Four searches of Branin's function, of which the right quarter diverged, lost 5
of 76 model-based trials at 0.3, 7 at 0.025, and 58 without this model."""


class Feasibility:
    """A model of ending well; X_nf are the encoded configurations, well_n how their trials ended.

    `lessons` are of what may make a trial fail.
    """

    def __init__(
        self, X_nf: Array, well_n: npt.NDArray[np.bool_], *, dimensions: int, lessons: Lessons | None = None
    ) -> None:
        Y_n1 = 1.0 - well_n[:, None].astype(np.float64)
        expected = priors(X_nf, Y_n1, dimensions=dimensions, keep_m=np.array([np.nan]), lessons=lessons or Lessons())
        surrogate = fit(X_nf, Y_n1, dimensions=dimensions, shortest=_SHORTEST, priors=expected)
        (self._posterior,) = surrogate.posteriors
        self._half = surrogate.scale.apply(np.array([0.5])).item()

    def log_probability(self, X_tf: torch.Tensor) -> torch.Tensor:
        """log P(the trial ends well); shape (t,)."""
        mean_kt1, sd_kt1 = self._posterior(X_tf)
        log_probability_t: torch.Tensor = torch.special.log_ndtr((self._half - mean_kt1) / sd_kt1)[0, :, 0]
        return log_probability_t
