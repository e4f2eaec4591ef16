"""A model of what a whole training would give, from trials most of which ended before.

The outcomes at the rungs are functions of the configuration that are alike: one Gaussian process over configuration
and rung, whose correlations between rungs and noise at each are inferred with its lengthscales (see `levels`). A trial
that was stopped tells of the rungs it passed, whatever its score would have become; where good beginnings end badly,
the correlation is small or negative. Where every trial is trained to its end, the ends alone decide.

Units come first, because those that went on were chosen: the first rung's are those of all trials, and from each rung
to the next a regression, which no choice by what came before misleads, says what all would have there.

Legend: n trials, r rungs, m outcomes, f columns, t test points, k members, o observations; Y_rnm minimised, NaN where
a trial did not get.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.calibration import Fit, Manner, stacked
from paretune.algorithms._gp.levels import Levels, correlations
from paretune.algorithms._gp.model import predict
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import posterior_mode
from paretune.algorithms._gp.posterior_sample import posterior_sample
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.process import Posterior, condition
from paretune.records import Line

Array = npt.NDArray[np.float64]

ENOUGH = 4
"""Trials that a rung needs before anything is judged there: a spread of changes comes from three at least."""

_SLOPE_DOUBT = 0.5  # standard deviation of a slope beforehand, as a share of it

_MOST = 300  # observations that hyperparameters are fitted to
_KEPT = 64  # fits, of some kilobytes each


@dataclass(frozen=True, slots=True)
class _Rung:
    """One outcome at one rung: its process, and the noise variances of one more result there, shape (k,)."""

    process: Posterior
    noise_k: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The fitted processes: each outcome's at each of the `rungs`, lowest first, in the units of `scales`."""

    rungs: tuple[float, ...]
    scales: tuple[Scale, ...]
    fits: tuple[Fit, ...]
    processes: tuple[tuple[_Rung, ...], ...]
    correlations_mkrr: tuple[torch.Tensor, ...]
    passed_rn: npt.NDArray[np.bool_]

    @property
    def posteriors(self) -> tuple[Posterior, ...]:
        """Each outcome's at the highest rung."""
        return tuple(by_rung[-1].process for by_rung in self.processes)

    @property
    def scale(self) -> Scale:
        """That of the highest rung."""
        return self.scales[-1]

    def predict(self, X_tf: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free minimised outcomes in their own units; shapes (t, m)."""
        return predict(self, X_tf)

    def lines(self, x_f: Array) -> dict[float, list[Line]]:
        """How a configuration's minimised outcomes at each lower rung lead to those at the highest one.

        By rung, for each outcome, the mean of the end given the outcome there and all that is known, under the members'
        mixture, and the standard deviation that is left.
        """
        units_rm = np.array([scale.own_units_m() for scale in self.scales])
        zeros_rm = np.array([scale.restore(*np.zeros((2, 1, units_rm.shape[1])))[0][0] for scale in self.scales])
        found = {}
        for rung, resource in enumerate(self.rungs[:-1]):
            lines = [self._line(outcome, rung, x_f) for outcome in range(len(self.processes))]
            slope_m, offset_m, sd_m = np.array(lines).T
            slope_m = slope_m * units_rm[-1] / units_rm[rung]
            offset_m = zeros_rm[-1] + units_rm[-1] * offset_m - slope_m * zeros_rm[rung]
            sd_m = units_rm[-1] * sd_m
            found[resource] = list(map(Line, slope_m.tolist(), offset_m.tolist(), sd_m.tolist()))
        return found

    def _line(self, outcome: int, rung: int, x_f: Array) -> tuple[float, float, float]:
        """Slope, offset and standard deviation from a rung to the highest one, standardised."""
        X_1f, here, end = torch.from_numpy(x_f[None]), self.processes[outcome][rung], self.posteriors[outcome]
        with torch.no_grad():
            v_kn, w_kn = here.process.whiten(X_1f)[:, 0], end.whiten(X_1f)[:, 0]
            mean_k, end_k = here.process(X_1f)[0][:, 0, 0], end(X_1f)[0][:, 0, 0]
            variance_k = 1 - (v_kn**2).sum(-1) + here.noise_k
            covariance_k = self.correlations_mkrr[outcome][:, rung, -1] - (v_kn * w_kn).sum(-1)
            off_k, end_off_k = mean_k - mean_k.mean(), end_k - end_k.mean()
            variance, covariance = (variance_k + off_k**2).mean(), (covariance_k + off_k * end_off_k).mean()
            slope = covariance / variance
            left = (1 - (w_kn**2).sum(-1) + end_off_k**2).mean() - slope * covariance
            return float(slope), float(end_k.mean() - slope * mean_k.mean()), float(left.clamp_min(0).sqrt())

    def hyperparameters(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """As of `Surrogate`, noise and outputscale at the highest rung; with the rungs and how far each one's outcome
        correlates with the next one's."""
        return [
            {
                "lengthscales": dict(zip(labels, fit.mode.lengthscales_f.tolist(), strict=True)),
                "noise": fit.mode.noise**0.5 * unit,
                "outputscale": unit,
                "rungs": list(self.rungs),
                "correlations": np.tanh(fit.mode.ties_q).tolist(),
            }
            for fit, unit in zip(self.fits, self.scale.own_units_m().tolist(), strict=True)
        ]


def heights(Y_rnm: Array) -> list[int]:
    """The rungs to model: those that enough trials have reached; while there is none, the one that most have."""
    reached_r = (~np.isnan(Y_rnm).any(axis=2)).sum(axis=1)
    usual = np.flatnonzero(reached_r >= ENOUGH)
    return usual.tolist() if len(usual) else [int(np.argmax(reached_r))]


def climb(
    X_nf: Array,
    Y_rnm: Array,
    rungs: Sequence[float],
    manner: Manner,
    *,
    errors_rnm: Array,
    keep_m: Array,
    settled: int,
    priors: Sequence[Prior | None] = (),
) -> Ladder:
    """Fit a ladder to trials in their order, all of which reached the first rung; see `surrogate.fit` for the rest.

    `priors` are of the first rung. Nothing is warped: a line leads from each rung to the end.
    """
    passed_rn = np.asarray(~np.isnan(Y_rnm).any(axis=2))
    if (passed_rn[:, :settled].sum(axis=1) < ENOUGH).any():
        settled = len(X_nf)
    scales, agree_qm = _units(Y_rnm[:, :settled], keep_m)
    trial_o, level_o = np.nonzero(passed_rn.T)
    levels, X = Levels(level_o, len(rungs)), X_nf[trial_o]
    Z_rnm = np.array([scale.apply(Y_nm) for scale, Y_nm in zip(scales, Y_rnm, strict=True)])
    known_rnm = np.array([scale.variances(*pair) for scale, *pair in zip(scales, Y_rnm, errors_rnm, strict=True)])
    fits, processes, alike = [], [], []
    for j, prior in enumerate([*priors] or [None] * len(keep_m)):
        told_r = np.array([1.0, *agree_qm[:, j].cumprod()])
        z_o, known_o = Z_rnm[level_o, trial_o, j], known_rnm[level_o, trial_o, j]
        expected = [None if prior is None or not told else prior.in_units_of(1 / told) for told in told_r]
        z_o = z_o - _expected(expected, X, level_o)
        part = _fitted_to(trial_o < settled, level_o)
        fit = _fit(*(a[part].tobytes() for a in (X, z_o, known_o, level_o)), len(rungs), len(part), manner)
        fits.append(fit)
        by_rung, correlations_krr = _processes(X, z_o, known_o, levels, fit, manner, expected)
        processes.append(by_rung)
        alike.append(correlations_krr)
    return Ladder(
        rungs=tuple(rungs),
        scales=tuple(scales),
        fits=tuple(fits),
        processes=tuple(processes),
        correlations_mkrr=tuple(alike),
        passed_rn=passed_rn,
    )


def _units(Y_rnm: Array, keep_m: Array) -> tuple[list[Scale], Array]:
    """The scale at each rung, and the correlations with the next one that follow from the regressions; (q, m)."""
    scales, agree = [Scale.of(_reached(Y_rnm[0]), keep_m)], []
    for below_nm, here_nm in itertools.pairwise(Y_rnm):
        both_n = ~np.isnan(below_nm + here_nm).any(axis=1)
        own = Scale.of(here_nm[both_n], keep_m)
        x_nm, y_nm = scales[-1].apply(below_nm[both_n]), own.apply(here_nm[both_n])
        slope_m = _slopes(x_nm, y_nm)
        offset_m = (y_nm - slope_m * x_nm).mean(axis=0)
        left_m = (y_nm - offset_m - slope_m * x_nm).var(axis=0)
        n = len(x_nm)  # of a variance that n changes have told: that of Student's t is larger
        spread_m = np.sqrt(slope_m**2 + left_m * (n - 1) / (n - 3))
        spread_m = np.where(spread_m > 0, spread_m, 1.0)
        agree.append(np.clip(slope_m / spread_m, -1.0, 1.0))
        scales.append(own.moved(offset_m, spread_m))
    return scales, np.array(agree)


def _reached(Y_nm: Array) -> Array:
    """The outcomes of the trials that got there."""
    return np.asarray(Y_nm[~np.isnan(Y_nm).any(axis=1)])


def _slopes(below_nm: Array, here_nm: Array) -> Array:
    """By how much an outcome follows the one of the rung below; shape (m,).

    Least squares, drawn towards what it would be if the order stayed as it is: the ratio of the spreads.
    """
    x_nm, y_nm = below_nm - below_nm.mean(axis=0), here_nm - here_nm.mean(axis=0)
    square_m = (x_nm**2).sum(axis=0)
    expected_m = np.sqrt((y_nm**2).sum(axis=0) / np.where(square_m > 0, square_m, 1.0))
    rest_m = ((y_nm - expected_m * x_nm) ** 2).mean(axis=0)
    doubt_m = np.where(expected_m > 0, (_SLOPE_DOUBT * expected_m) ** 2, 1.0)
    weight_m = rest_m / doubt_m
    total_m = square_m + weight_m
    return np.asarray(((x_nm * y_nm).sum(axis=0) + weight_m * expected_m) / np.where(total_m > 0, total_m, 1.0))


def _expected(priors: Sequence[Prior | None], X_of: Array, level_o: npt.NDArray[np.intp]) -> Array:
    """What each level's prior expects of its observations; shape (o,)."""
    expected_o = np.zeros(len(X_of))
    for level, prior in enumerate(priors):
        if prior is not None:
            with torch.no_grad():
                expected_o[level_o == level] = prior(torch.from_numpy(X_of[level_o == level])).numpy()
    return expected_o


def _fitted_to(settled_o: npt.NDArray[np.bool_], level_o: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The observations that hyperparameters are fitted to: of too many, those of the highest rungs up to two thirds,
    and of the others evenly spaced ones."""
    places = np.flatnonzero(settled_o)
    if len(places) <= _MOST:
        return places
    order = places[np.argsort(-level_o[places], kind="stable")]
    high, others = order[: _MOST * 2 // 3], np.sort(order[_MOST * 2 // 3 :])
    spaced = others[np.linspace(0, len(others) - 1, _MOST - len(high)).round().astype(np.intp)]
    return np.union1d(high, spaced)


@lru_cache(maxsize=_KEPT)
def _fit(X: bytes, z: bytes, known: bytes, level: bytes, r: int, n: int, manner: Manner) -> Fit:
    """The hyperparameters of one standardised outcome at all rungs."""
    X_of = torch.from_numpy(np.frombuffer(X).reshape(n, -1).copy())
    z_o, known_o = (torch.from_numpy(np.frombuffer(part).copy()) for part in (z, known))
    levels = Levels(np.frombuffer(level, dtype=np.intp).copy(), r)
    related: Any = {
        "dimensions": manner.dimensions,
        "kernel": manner.kernel,
        "shortest": manner.shortest,
        "bent_f": manner.bent_f,
        "known_n": known_o,
        "levels": levels,
    }
    mode = posterior_mode(X_of, z_o, **related)
    if manner.members == 1:
        return Fit(mode, (mode,))
    sample, _ = posterior_sample(X_of, z_o, mode, members=manner.members, **related)
    return Fit(mode, tuple(sample))


def _processes(
    X_of: Array,
    z_o: Array,
    known_o: Array,
    levels: Levels,
    fit: Fit,
    manner: Manner,
    priors: Sequence[Prior | None],
) -> tuple[tuple[_Rung, ...], torch.Tensor]:
    """An outcome's process at each rung, and the correlations between them; `z_o` without what is expected."""
    members = fit.members
    lengths_kf, noise_k1, mean_k = stacked(members)
    noises_kq = torch.from_numpy(np.array([member.noises_q for member in members]))
    correlations_krr = correlations(torch.from_numpy(np.array([member.ties_q for member in members])))
    powers = [member.powers_2f for member in members if member.powers_2f is not None]
    known = torch.from_numpy(known_o)
    last = condition(
        torch.from_numpy(X_of),
        torch.from_numpy(z_o),
        lengths_kf=lengths_kf,
        noise_kn=levels.noises(noise_k1[:, 0], noises_kq) + known,
        mean_k=mean_k,
        kernel=manner.kernel,
        powers_2k1f=torch.from_numpy(np.stack(powers, axis=1))[:, :, None] if powers else None,
        levels=levels,
        correlations_krr=correlations_krr,
    )
    told_krn = levels.told(correlations_krr)
    noise_kr = torch.cat([noises_kq, noise_k1], dim=1)
    rungs = [
        _Rung(
            replace(last, told_k1n=told_krn[:, level : level + 1], prior=prior),
            noise_kr[:, level] + known[levels.level_n == level].mean(),
        )
        for level, prior in enumerate(priors)
    ]
    return tuple(rungs), correlations_krr
