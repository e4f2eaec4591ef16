"""A model of what a whole training would give, from trials most of which ended before.

From rung to rung an outcome is y_(l+1)(x) = slope y_l(x) + change(x): the change is a Gaussian process over the
configurations, and so is the first rung's outcome (the autoregressive model of Kennedy and O'Hagan, 2000). A trial that
reached a rung has passed those below, so each process is fitted by itself, to what it is observed by (Le Gratiet and
Garnier, 2014): the first one to all trials, the others to the fewer that went on. A trial that was stopped tells of its
first rungs only, whatever its score would have become; and where good beginnings end badly, the changes say so.

Legend: n trials, r rungs, m outcomes, f columns, t test points; Y_rnm minimised, NaN where a trial did not get.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.calibration import Manner, rounded
from paretune.algorithms._gp.input_warp import Bent
from paretune.algorithms._gp.model import predict
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.algorithms._gp.total import Part, Total

Array = npt.NDArray[np.float64]

ENOUGH = 4
"""Trials that a rung needs before anything is judged there: a spread of changes comes from three at least."""

_MANY = 60  # trials from which one set of hyperparameters says nearly all, and several take too long

_SLOPE_DOUBT = 0.5  # standard deviation of a slope beforehand, as a share of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The fitted processes, lowest rung first, and the outcome at the highest one as their sum.

    `rungs` are the resources; outcomes are standardised at each by itself, `Z_rnm`, and `slopes_rm` leads from each
    rung to the next one; `scales` are the units.
    """

    posteriors: tuple[Total, ...]
    scales: tuple[Scale, ...]
    rungs: tuple[float, ...]
    slopes_rm: Array
    steps: tuple[Surrogate, ...]
    Z_rnm: Array

    @property
    def scale(self) -> Scale:
        """That of the highest rung."""
        return self.scales[-1]

    def lines(self, x_f: Array) -> dict[float, list[tuple[float, float]]]:
        """How a configuration's outcomes at each lower rung lead to those at the highest one.

        By rung, a slope and an offset for each outcome, in its own units.
        """
        units_rm = np.array([scale.own_units_m() for scale in self.scales])
        zeros_rm = np.array([scale.restore(*np.zeros((2, 1, units_rm.shape[1])))[0][0] for scale in self.scales])
        changes_r1m = self._changes(x_f[None])
        found = {}
        for rung, resource in enumerate(self.rungs[:-1]):
            slope_m, offset_1m = self._ahead(rung, changes_r1m)
            slope_m = slope_m * units_rm[-1] / units_rm[rung]
            offset_m = zeros_rm[-1] + units_rm[-1] * offset_1m[0] - slope_m * zeros_rm[rung]
            found[resource] = list(zip(slope_m.tolist(), offset_m.tolist(), strict=True))
        return found

    def expected(self, X_nf: Array) -> Array:
        """What the trials that it was fitted to are expected to end with, from their highest rung on; shape (n, m)."""
        changes_rnm = self._changes(X_nf)
        Z_nm = np.empty_like(self.Z_rnm[0])
        for rung, there_nm in enumerate(self.Z_rnm):
            slope_m, offset_nm = self._ahead(rung, changes_rnm)
            Z_nm = np.where(np.isnan(there_nm), Z_nm, slope_m * there_nm + offset_nm)
        return self.scale.restore(Z_nm, np.zeros_like(Z_nm))[0]

    def _changes(self, X_tf: Array) -> Array:
        """The expected change from the rung before to each rung, 0 to the first, standardised; shape (r, t, m)."""
        X, m = torch.from_numpy(X_tf), self.Z_rnm.shape[2]
        changes_rtm = np.zeros((len(self.rungs), len(X_tf), m))
        for rung, step in enumerate(self.steps[1:], start=1):
            for j, posterior in enumerate(step.posteriors):
                zero, unit = change_units(step, j, first=False)
                with torch.no_grad():
                    changes_rtm[rung, :, j] = zero + unit * posterior(X)[0].mean(0)[:, 0].numpy()
        return changes_rtm

    def _ahead(self, rung: int, changes_rtm: Array) -> tuple[Array, Array]:
        """From a rung to the highest one, standardised: slopes (m,) and offsets (t, m)."""
        slope_m, offset_tm = np.ones(changes_rtm.shape[2]), np.zeros(changes_rtm.shape[1:])
        for above in range(rung + 1, len(self.rungs)):
            slope_m = slope_m * self.slopes_rm[above - 1]
            offset_tm = offset_tm * self.slopes_rm[above - 1] + changes_rtm[above]
        return slope_m, offset_tm

    def predict(self, X_tf: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free minimised outcomes in their own units; shapes (t, m)."""
        return predict(self, X_tf)

    def hyperparameters(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Those of the first rung, see `Surrogate`; with `rungs` and the `slopes` between them."""
        first = self.steps[0].hyperparameters(labels)
        return [
            {**found, "rungs": list(self.rungs), "slopes": slopes}
            for found, slopes in zip(first, self.slopes_rm.T.tolist(), strict=True)
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
    *,
    dimensions: int,
    kernel: Kernel,
    errors_rnm: Array,
    keep_m: Array,
    members: int,
    bent_f: Bent | None = None,
    priors: Sequence[Prior | None] = (),
) -> Ladder:
    """Fit a ladder to trials in their order, all of which reached the first rung; see `surrogate.fit` for the rest.

    `members` are those of a step with up to 60 trials, one with more has one; `priors` are of the first rung. Nothing
    is warped: a line leads from each rung to the end.
    """
    manner = Manner(dimensions=dimensions, kernel=kernel, bent_f=bent_f)
    scales = [Scale.of(_reached(Y_nm), keep_m) for Y_nm in Y_rnm]
    Z_rnm = np.array([scale.apply(Y_nm) for scale, Y_nm in zip(scales, Y_rnm, strict=True)])
    errors_rnm = np.sqrt([scale.variances(*pair) for scale, *pair in zip(scales, Y_rnm, errors_rnm, strict=True)])
    first = scales[0].apply(keep_m[None])[0]
    steps = [_step(X_nf, Z_rnm[0], errors_rnm[0], manner, members, keep_m=first, priors=priors)]
    slopes_rm = np.ones((len(rungs) - 1, Y_rnm.shape[2]))
    for rung in range(1, len(rungs)):
        below_nm, here_nm = Z_rnm[rung - 1], Z_rnm[rung]
        both_n = ~np.isnan(below_nm + here_nm).any(axis=1)
        slope_m = slopes_rm[rung - 1] = _slopes(below_nm[both_n], here_nm[both_n])
        change_nm = here_nm - slope_m * below_nm
        errors_nm = np.hypot(errors_rnm[rung], slope_m * errors_rnm[rung - 1])
        steps.append(_step(X_nf[both_n], change_nm[both_n], errors_nm[both_n], manner, members))
    return Ladder(
        posteriors=tuple(_total(steps, slopes_rm, j) for j in range(Y_rnm.shape[2])),
        scales=tuple(scales),
        rungs=tuple(rungs),
        slopes_rm=slopes_rm,
        steps=tuple(steps),
        Z_rnm=Z_rnm,
    )


def _step(
    X_nf: Array,
    Z_nm: Array,
    errors_nm: Array,
    manner: Manner,
    members: int,
    *,
    keep_m: Array | None = None,
    priors: Sequence[Prior | None] = (),
) -> Surrogate:
    n = len(X_nf)
    return fit(
        X_nf,
        Z_nm,
        dimensions=manner.dimensions,
        kernel=manner.kernel,
        errors_nm=errors_nm,
        keep_m=keep_m,
        members=members if n <= _MANY else 1,
        settled=rounded(n),
        bent_f=manner.bent_f,
        priors=priors,
    )


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


def _total(steps: Sequence[Surrogate], slopes_rm: Array, outcome: int) -> Total:
    """An outcome at the highest rung, standardised as it is there."""
    offset, parts = 0.0, []
    for rung, step in enumerate(steps):
        weight = float(slopes_rm[rung:, outcome].prod())
        zero, unit = change_units(step, outcome, first=rung == 0)
        offset += weight * zero
        parts.append(Part(step.posteriors[outcome], weight * unit))
    return Total(offset, tuple(parts))


def change_units(step: Surrogate, outcome: int, *, first: bool) -> tuple[float, float]:
    """What zero and one of a step's own units are; more than its spread where it rests on few trials.

    A variance that n changes have told is uncertain itself: that of Student's t is larger by (n - 1) / (n - 3).
    """
    n, m = step.Z_nm.shape
    zero_1m, _ = step.scale.restore(*np.zeros((2, 1, m)))
    unit = float(step.scale.own_units_m()[outcome])
    return float(zero_1m[0, outcome]), unit if first else unit * math.sqrt((n - 1) / (n - 3))
