"""What the search needs of a model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.outcomes import Scale

Array = npt.NDArray[np.float64]


class Process(Protocol):
    """What is known of one standardised outcome, noise taken away: see `process.Posterior`."""

    @property
    def members(self) -> int:
        """How many sets of hyperparameters are kept side by side."""

    def __call__(self, X_tf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means for each draw, shape (k, t, s), and the standard deviation they share, shape (k, t, 1)."""

    def imagine(self, X_pf: torch.Tensor, normal_sp: torch.Tensor) -> tuple[Process, torch.Tensor]:
        """The process that also knows outcomes at X_pf, drawn jointly, and those; shape (k, s, p)."""

    def covariance(self, X_tf: torch.Tensor, X_pf: torch.Tensor) -> torch.Tensor:
        """Covariances of outcomes at two sets of points; shape (k, t, p)."""


class Model(Protocol):
    """What is known of all outcomes, each a process in the units of `scale`."""

    @property
    def posteriors(self) -> Sequence[Process]: ...

    @property
    def scale(self) -> Scale: ...

    def predict(self, X_tf: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free minimised outcomes in their own units; shapes (t, m)."""

    def hyperparameters(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Plain data per outcome: lengthscales by column; noise, outputscale (standard deviations) in its units."""


def predict(model: Model, X_tf: Array) -> tuple[Array, Array]:
    """What `Model.predict` returns, from the model's processes."""
    with torch.no_grad():
        pairs = [moments(posterior, torch.from_numpy(X_tf)) for posterior in model.posteriors]
    mean_tm, sd_tm = (np.stack(part, axis=1) for part in zip(*pairs, strict=True))
    return model.scale.restore(mean_tm, sd_tm)


def moments(posterior: Process, X_tf: torch.Tensor) -> tuple[Array, Array]:
    """Mean and standard deviation of the members' mixture; shapes (t,)."""
    mean_kt1, sd_kt1 = posterior(X_tf)
    mean_t = mean_kt1.mean(0)[:, 0]
    square_t = (sd_kt1**2 + mean_kt1**2).mean(0)[:, 0]
    return mean_t.numpy(), (square_t - mean_t**2).clamp_min(0).sqrt().numpy()
