"""How much trying a configuration is worth.

Noisy expected improvement for one objective, noisy expected hypervolume improvement for several, in the logarithmic
forms of Ament et al. (2023, arXiv:2310.20708), integrated over what the pending trials may return.

Legend: b observed, p pending, t test points, f columns, m objectives; everything in standardised minimised units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei as _logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import WeightedMCMultiOutputObjective
from botorch.acquisition.multi_objective.utils import get_default_partitioning_alpha
from botorch.acquisition.objective import LinearMCObjective
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler

from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.surrogate import Surrogate

Array = npt.NDArray[np.float64]

_logei._load_attempted = True
"""Keeps BoTorch from compiling a C++ kernel when first used: results would depend on whether a compiler is there, and
a process killed meanwhile leaves a lock that the next one waits on for ever."""


Constraint: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""BoTorch's form of a limit: negative where it is kept."""


class Acquisition:
    """The logarithm of the expected improvement, times the probability of ending well where trials have failed.

    `reference_m` and `limits_m` have shape (m,), the limits infinite where there is none.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        *,
        observed_bf: Array,
        pending_pf: Array,
        reference_m: Array,
        limits_m: Array,
        feasibility: Feasibility | None,
        seed: int,
    ) -> None:
        self._feasibility = feasibility
        distinct_bf = np.unique(observed_bf, axis=0)  # equal rows make a singular covariance
        self._improvement = (_improvement if len(limits_m) == 1 else _hypervolume_improvement)(
            surrogate.model,
            torch.from_numpy(distinct_bf),
            torch.from_numpy(pending_pf) if len(pending_pf) else None,
            reference_m=torch.from_numpy(reference_m),
            limits=_limits(limits_m),
            seed=seed,
        )

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The value of each point by itself; shape (t,)."""
        X_t1f = X_tf.unsqueeze(-2)
        value_t: torch.Tensor = self._improvement(X_t1f)
        return value_t if self._feasibility is None else value_t + self._feasibility.log_probability(X_t1f)


def _improvement(
    model: SingleTaskGP,
    observed_bf: torch.Tensor,
    pending_pf: torch.Tensor | None,
    *,
    reference_m: torch.Tensor,
    limits: list[Constraint] | None,
    seed: int,
) -> AcquisitionFunction:
    """Of one objective, which needs no reference."""
    return qLogNoisyExpectedImprovement(
        model,
        observed_bf,
        X_pending=pending_pf,
        sampler=SobolQMCNormalSampler(torch.Size([_samples(1)]), seed=seed),
        objective=LinearMCObjective(_maximized(1)),
        constraints=limits,
        prune_baseline=True,
    )


def _hypervolume_improvement(
    model: SingleTaskGP,
    observed_bf: torch.Tensor,
    pending_pf: torch.Tensor | None,
    *,
    reference_m: torch.Tensor,
    limits: list[Constraint] | None,
    seed: int,
) -> AcquisitionFunction:
    """Of the volume between the front and the reference."""
    m = len(reference_m)
    return qLogNoisyExpectedHypervolumeImprovement(
        model,
        _maximized(m) * reference_m,
        observed_bf,
        X_pending=pending_pf,
        sampler=SobolQMCNormalSampler(torch.Size([_samples(m)]), seed=seed),
        objective=WeightedMCMultiOutputObjective(_maximized(m)),
        constraints=limits,
        prune_baseline=True,
        alpha=get_default_partitioning_alpha(m),
    )


def _samples(m: int) -> int:
    """Draws of the posterior: each costs a partitioning of the objectives' space, slow from three objectives on."""
    return 128 if m <= 2 else 32


def _maximized(m: int) -> torch.Tensor:
    """BoTorch maximises: the weights that turn minimised outcomes round, shape (m,)."""
    return -torch.ones(m, dtype=torch.double)


def _limits(limits_m: Array) -> list[Constraint] | None:
    found: list[Constraint] = [_Limit(j, float(limit)) for j, limit in enumerate(limits_m) if np.isfinite(limit)]
    return found or None


class _Limit:
    """An upper bound of one outcome."""

    def __init__(self, outcome: int, limit: float) -> None:
        self._outcome, self._limit = outcome, limit

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        return samples[..., self._outcome] - self._limit
