"""What a model takes from a part of the results only: units and hyperparameters.

They move little from one result to the next, and cost most of the time. So they follow from the results up to the last
round number, every one at first, then at every twentieth part more; all results, the newest too, still enter the model
they define. A function of the results, not of what was computed before; what is kept here only saves time.

Legend: n results, m outcomes, f columns, k members; Y_nm minimised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import SHORTEST, Hyperparameters, posterior_mode
from paretune.algorithms._gp.posterior_sample import posterior_sample
from paretune.algorithms._gp.prior import Prior

Array = npt.NDArray[np.float64]

_PARTS = 20
_MOST = 300  # results that hyperparameters are fitted to, evenly spaced: a fit to 1,000 takes seconds and agrees
_KEPT = 64  # fits, of some kilobytes each


@dataclass(frozen=True, slots=True)
class Fit:
    """Of one outcome: its most probable hyperparameters, and the members that stand for all plausible ones."""

    mode: Hyperparameters
    members: tuple[Hyperparameters, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The units of outcomes, a fit of each, and what was known of it beforehand, in those units."""

    scale: Scale
    fits: tuple[Fit, ...]
    priors: tuple[Prior | None, ...]


def calibrate(
    X_nf: Array,
    Y_nm: Array,
    *,
    dimensions: int,
    keep_m: Array | None = None,
    shortest: float = SHORTEST,
    members: int = 1,
    settled: int | None = None,
    priors: Sequence[Prior | None] | None = None,
) -> Calibration:
    """The calibration from the first `settled` results; see `surrogate.fit` for the arguments."""
    settled = len(Y_nm) if settled is None else settled
    scale = Scale.of(Y_nm[:settled], keep_m)
    part = np.unique(np.linspace(0, settled - 1, min(settled, _MOST)).round().astype(np.intp))
    X, rest_mn = X_nf[part], np.ascontiguousarray(scale.apply(Y_nm[part]).T)
    known: list[Prior | None] = [None] * len(rest_mn) if priors is None else list(priors)
    for j, prior in enumerate(known):
        if prior is not None:
            unit = prior.left_over(torch.from_numpy(X), torch.from_numpy(rest_mn[j]))
            scale, known[j] = scale.finer(j, unit), prior.in_units_of(unit)
            rest_mn[j] = (rest_mn[j] - prior(torch.from_numpy(X)).numpy()) / unit
    fits = [
        _fit(X.tobytes(), rest_n.tobytes(), len(part), dimensions=dimensions, shortest=shortest, members=members)
        for rest_n in rest_mn
    ]
    return Calibration(scale, tuple(fits), tuple(known))


def rounded(n: int) -> int:
    """The last round number up to n."""
    return n - n % max(1, n // _PARTS)


@lru_cache(maxsize=_KEPT)
def _fit(X_nf: bytes, z_n: bytes, n: int, *, dimensions: int, shortest: float, members: int) -> Fit:
    X = torch.from_numpy(np.frombuffer(X_nf).reshape(n, -1).copy())
    z = torch.from_numpy(np.frombuffer(z_n).copy())
    mode = posterior_mode(X, z, dimensions=dimensions, shortest=shortest)
    if members == 1:
        return Fit(mode, (mode,))
    sample = posterior_sample(X, z, mode, members=members, dimensions=dimensions, shortest=shortest)
    return Fit(mode, tuple(sample))


def stacked(members: Sequence[Hyperparameters]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lengthscales (k, f), noise variances (k, 1), means (k,)."""
    return (
        torch.from_numpy(np.array([member.lengthscales_f for member in members])),
        torch.tensor([[member.noise] for member in members], dtype=torch.double),
        torch.tensor([member.mean for member in members], dtype=torch.double),
    )
