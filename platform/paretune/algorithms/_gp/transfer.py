"""What earlier studies expect: a prior mean for the surrogate, as large as the study at hand bears it out.

Each source is a Gaussian process on the parameters it shares, fitted once; its posterior mean is a feature of the
configurations here, and a result is an affine function of it plus a rest. An average over the sources and over none,
weighted by their evidence, is the prior mean; the surrogate models the rest, so that sources give way to results. As
the ensemble of Feurer, Letham and Bakshy (2018, arXiv:1802.02219) it judges sources by the results here alone and copes
with any scale of theirs; unlike it, it is one Gaussian process, which passes through the results here.

Legend: n results, t test points, f columns, m objectives, k sources, s results of a source; Y_nm minimised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.analytic import expectations
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import log_density
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.process import Mean, Posterior
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.earlier import FEWEST, Carried, Source, carried, shared
from paretune.objective import Objectives

Array = npt.NDArray[np.float64]

_LARGEST = 1e100  # squares of larger values are not numbers any more
_KEPT = 8  # answers: they hold as long as no more results are settled (see `calibration`)
_LEAST = 1e-3  # of the largest slope: what a source below it adds is not worth the time of asking it


@dataclass(frozen=True, slots=True)
class SourceMean:
    """What a source expects of one objective, in its own standardised units, from the columns it shares."""

    columns: list[int]
    posterior: Posterior

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """Shape (t,), differentiable."""
        return self.posterior.mean(X_tf[:, self.columns]).mean(0)[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What all sources expect: the name of each, and its mean of each outcome that it knows. Equal to itself alone."""

    names: tuple[str, ...] = ()
    means: tuple[tuple[Mean | None, ...], ...] = ()

    @property
    def outcomes(self) -> int:
        """How many outcomes, the first ones, any of them knows."""
        return max((j + 1 for of_source in self.means for j, mean in enumerate(of_source) if mean), default=0)

    def __add__(self, others: Lessons) -> Lessons:
        return Lessons((*self.names, *others.names), (*self.means, *others.means))


def lessons_of(
    sources: Sequence[Source], objectives: Objectives, encoding: Encoding, kernel: Kernel = "matern52"
) -> Lessons:
    """Fit the sources, and add what is known of layouts; draws nothing."""
    others = (None,) * (len(objectives.outcome_names) - len(objectives))
    layouts = expectations(objectives, encoding)
    means = [(*_means(source, objectives, encoding, kernel), *others) for source in sources]
    return Lessons((*(source.name for source in sources), *layouts), (*means, *layouts.values()))


def priors(
    X_nf: Array,
    Y_nm: Array,
    *,
    dimensions: int,
    keep_m: Array,
    lessons: Lessons,
    kernel: Kernel = "matern52",
    warp: bool = False,
) -> tuple[Prior | None, ...]:
    """The prior mean of each outcome that makes its results more probable, None where there is none.

    More probable than they are without it, through a warp where `warp` allows one, by a factor of n, because offset and
    slope were fitted: the root of n for each of the two (Schwarz, 1978). The prior mean itself is not warped: a warp
    bends where the best result so far is, and that is not the same place in two studies.
    """
    n, m = Y_nm.shape
    if not lessons.outcomes or n < FEWEST:
        return tuple(None for _ in range(m))
    return _priors(X_nf.tobytes(), Y_nm.tobytes(), keep_m.tobytes(), n, m, dimensions, lessons, kernel, warp)


@lru_cache(maxsize=_KEPT)
def _priors(
    X: bytes, Y: bytes, keep: bytes, n: int, m: int, dimensions: int, lessons: Lessons, kernel: Kernel, warp: bool
) -> tuple[Prior | None, ...]:
    X_nf, Y_nm = np.frombuffer(X).reshape(n, -1).copy(), np.frombuffer(Y).reshape(n, m)  # torch wants to own inputs
    keep_m = np.frombuffer(keep)
    plain = fit(X_nf, Y_nm, dimensions=dimensions, kernel=kernel, keep_m=keep_m, warp=warp)
    Z_nm = Scale.of(Y_nm, keep_m).apply(Y_nm)
    found = tuple(prior_mean(lessons, j, torch.from_numpy(X_nf), Z_nm[:, j]) for j in range(m))
    if all(prior is None for prior in found):
        return found
    informed = fit(X_nf, Y_nm, dimensions=dimensions, kernel=kernel, keep_m=keep_m, priors=found)
    with_m, without_m = (evidence(model, X_nf, Y_nm, dimensions=dimensions) for model in (informed, plain))
    return tuple(prior if gain > math.log(n) else None for prior, gain in zip(found, with_m - without_m, strict=True))


def prior_mean(lessons: Lessons, objective: int, X_nf: torch.Tensor, z_n: Array) -> Prior | None:
    """What the results make of the sources, or None where none is of use."""
    of_outcome = zip(lessons.names, (of_source[objective] for of_source in lessons.means), strict=True)
    known = [(name, mean) for name, mean in of_outcome if mean is not None]
    if not known:
        return None
    names, means = zip(*known, strict=True)
    with torch.no_grad():
        offset, slope_k, weight_k = average(np.array([mean(X_nf).numpy() for mean in means]), z_n)
    if not slope_k.any():
        return None
    kept = np.flatnonzero(slope_k > _LEAST * slope_k.max()).tolist()
    return Prior(
        offset,
        slopes=tuple(float(slope_k[i]) for i in kept),
        means=tuple(means[i] for i in kept),
        weights={names[i]: float(weight_k[i]) for i in kept},
    )


def average(M_kn: Array, z_n: Array) -> tuple[float, Array, Array]:
    """Offset, slopes (k,), weights (k,) of the average over z = a + b M_i + noise for each source i, and z = a + noise.

    Slopes are never negative. A model weighs as its evidence, (1 - r^2)^(-(n - 3) / 2), where r is its correlation: the
    power that leaves three results without a say. Beforehand all sources together weigh n^(-1/2) against none.
    """
    n = len(z_n)
    dM_kn, dz_n = M_kn - M_kn.mean(axis=1, keepdims=True), z_n - z_n.mean()
    square_k, total = (dM_kn**2).sum(axis=1), (dz_n**2).sum()
    if total == 0:
        return float(z_n.mean()), np.zeros(len(M_kn)), np.zeros(len(M_kn))
    slope_k = np.maximum(dM_kn @ dz_n, 0.0) / np.maximum(square_k, 1e-12)
    r2_k = np.clip(slope_k**2 * square_k / total, 0.0, 1 - 1e-6)
    log_k = -0.5 * (n - 3) * np.log1p(-r2_k) - math.log(len(M_kn)) - math.log(n) / 2
    top = max(0.0, log_k.max())
    weight_k = np.exp(log_k - top)
    weight_k /= weight_k.sum() + math.exp(-top)
    slope_k *= weight_k
    return float(z_n.mean() - slope_k @ M_kn.mean(axis=1)), slope_k, weight_k


def evidence(surrogate: Surrogate, X_nf: Array, Y_nm: Array, *, dimensions: int) -> Array:
    """Log posterior density at the modes of all results, in their own units up to a constant; shape (m,)."""
    X, Z_nm = torch.from_numpy(X_nf), torch.from_numpy(surrogate.scale.apply(Y_nm))
    densities = []
    for posterior, mode, z_n in zip(surrogate.posteriors, surrogate.modes, Z_nm.T, strict=True):
        rest_n = z_n if posterior.prior is None else z_n - posterior.prior(X)
        density_k, _ = log_density(mode.theta_p[None], X, rest_n, dimensions=dimensions, kernel=posterior.kernel)
        densities.append(density_k.item())
    log_units_m = np.log(surrogate.scale.unit_m)
    return np.asarray(np.array(densities) + surrogate.scale.log_slopes(Y_nm) - len(Y_nm) * log_units_m)


def _means(source: Source, objectives: Objectives, encoding: Encoding, kernel: Kernel) -> tuple[SourceMean, ...]:
    """A source's expectation of each objective."""
    results = carried(source, encoding.space, objectives)
    names = shared(source.space, encoding.space)
    known = [column for column in encoding.columns if column.name in names]
    columns = [place for column in known for place in range(column.start, column.start + column.width)]
    Y_sm = np.clip([result.y_m for result in results], -_LARGEST, _LARGEST)
    surrogate = fit(_features(results, encoding)[:, columns], Y_sm, dimensions=len(names), kernel=kernel)
    return tuple(SourceMean(columns, posterior) for posterior in surrogate.posteriors)


def _features(results: Sequence[Carried], encoding: Encoding) -> Array:
    """Model inputs of carried results, numbers at their exact places, which may lie outside the cube."""
    X_sf = encoding.features([result.config for result in results])
    for row_f, result in zip(X_sf, results, strict=True):
        for column in encoding.columns:
            if column.name in result.places:
                row_f[column.start] = result.places[column.name]
    return X_sf
