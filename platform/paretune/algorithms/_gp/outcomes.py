"""Outcomes as the model sees them: standardised, what explodes held back, a long tail drawn in where that fits better.

Legend: n observations, m outcomes; Y_nm is minimised, Z_nm standardised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STRENGTHS = (0.0, 1.0, 10.0, 100.0)
"""Of the warp: with 100, a hundredth of the outcomes' standard deviation above the best is where it begins to bend."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How outcomes are standardised, all of shape (m,).

    x = (min(y, ceiling) - floor) / unit, then w = log(1 + strength x), or x where strength is 0, then
    z = (w - center) / spread. Below the floor, which only predictions and limits can be, w goes on as a straight line.
    """

    ceiling_m: Array
    floor_m: Array
    unit_m: Array
    strength_m: Array
    center_m: Array
    spread_m: Array

    @classmethod
    def of(cls, Y_nm: Array, keep_m: Array | None = None, strength_m: Array | None = None) -> Scale:
        """The scale of given outcomes.

        Values above the upper quartile plus three interquartile ranges (Tukey's outer fence) count as at the fence:
        one exploded loss would otherwise flatten all differences that matter. `keep_m` stay distinguishable all the
        same.
        """
        lower_m, upper_m = np.quantile(Y_nm, [0.25, 0.75], axis=0)
        reach_m = upper_m - lower_m
        ceiling_m = upper_m + 3 * reach_m
        if keep_m is not None:
            ceiling_m = np.where(np.isfinite(keep_m), np.maximum(ceiling_m, keep_m + reach_m), ceiling_m)
        ceiling_m = np.where(reach_m > 0, ceiling_m, np.inf)  # half of the values are equal: no scale to judge by
        kept_nm = np.minimum(Y_nm, ceiling_m)
        floor_m, unit_m = kept_nm.min(axis=0), kept_nm.std(axis=0)
        largest_m = np.abs(kept_nm).max(axis=0)
        size_m = np.where(largest_m == 0, 1.0, largest_m)
        unit_m = np.where(unit_m <= 1e-12 * size_m, size_m, unit_m)  # what rounding alone makes of equal values
        strength_m = np.zeros(Y_nm.shape[1]) if strength_m is None else strength_m
        W_nm = _warp((kept_nm - floor_m) / unit_m, strength_m)
        spread_m = W_nm.std(axis=0)
        return cls(ceiling_m, floor_m, unit_m, strength_m, W_nm.mean(axis=0), np.where(spread_m > 1e-12, spread_m, 1.0))

    def finer(self, outcome: int, unit: float) -> Scale:
        """The scale whose unit of one outcome is a given part of this one's."""
        spread_m = self.spread_m.copy()
        spread_m[outcome] *= unit
        return replace(self, spread_m=spread_m)

    def moved(self, offset_m: Array, spread_m: Array) -> Scale:
        """The scale whose zero and unit are at these standardised values, and spreads, of this one's."""
        return replace(self, center_m=self.center_m + self.spread_m * offset_m, spread_m=self.spread_m * spread_m)

    def bound(self, Y_nm: Array) -> Array:
        """Outcomes with what is beyond the ceiling brought down to it."""
        return np.minimum(Y_nm, self.ceiling_m)

    def apply(self, Y_nm: Array) -> Array:
        """Outcomes in standardised units."""
        W_nm = _warp((self.bound(Y_nm) - self.floor_m) / self.unit_m, self.strength_m)
        return np.asarray((W_nm - self.center_m) / self.spread_m)

    def variances(self, Y_nm: Array, errors_nm: Array) -> Array:
        """The standardised variances of outcomes with given standard errors: what one of them more would change.

        The same as to first order where outcomes are not warped; where they are, the slope at the best ones alone would
        make far too much of their errors.
        """
        X_nm = (self.bound(Y_nm) - self.floor_m) / self.unit_m
        further_nm = _warp(X_nm + errors_nm / self.unit_m, self.strength_m)
        return np.asarray(((further_nm - _warp(X_nm, self.strength_m)) / self.spread_m) ** 2)

    def restore(self, mean_nm: Array, sd_nm: Array) -> tuple[Array, Array]:
        """Means and standard deviations back in the outcomes' own units, to first order where they are warped."""
        W_nm = self.center_m + self.spread_m * mean_nm
        bent_m = self.strength_m > 0
        safe_m = np.where(bent_m, self.strength_m, 1.0)
        upper_nm = np.where(bent_m, np.clip(W_nm, 0.0, _LARGEST_LOG), 0.0)
        X_nm = np.where(bent_m, (np.expm1(upper_nm) + np.minimum(W_nm, 0.0)) / safe_m, W_nm)
        return self.floor_m + self.unit_m * X_nm, sd_nm * self.spread_m * self.unit_m * np.exp(upper_nm) / safe_m

    def own_units_m(self) -> Array:
        """What a small step of one standardised unit is, in each outcome's own units, beside the best one."""
        return np.asarray(self.spread_m * self.unit_m / np.where(self.strength_m > 0, self.strength_m, 1.0))

    def log_slopes(self, Y_nm: Array) -> Array:
        """The logarithm of dz / dx at outcomes within the ceiling, added up over them; shape (m,)."""
        X_nm = (self.bound(Y_nm) - self.floor_m) / self.unit_m
        bent_nm = np.where(self.strength_m > 0, self.strength_m, 1.0) / (1 + self.strength_m * X_nm)
        return np.asarray((np.log(bent_nm) - np.log(self.spread_m)).sum(axis=0))


_LARGEST_LOG = 50.0  # no prediction is so far above the worst outcome


def _warp(X_nm: Array, strength_m: Array) -> Array:
    straight_m = strength_m == 0
    bent_nm = np.where(straight_m, 1.0, strength_m) * np.where(straight_m, 0.0, X_nm)  # limits may be infinite
    return np.where(straight_m, X_nm, np.log1p(np.maximum(bent_nm, 0.0)) + np.minimum(bent_nm, 0.0))
