"""Outcomes as the model sees them: standardised, what explodes held back.

Legend: n observations, m outcomes; Y_nm is minimised, Z_nm standardised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """How outcomes are standardised: z = (min(y, ceiling) - center) / spread, all of shape (m,)."""

    center_m: Array
    spread_m: Array
    ceiling_m: Array

    @classmethod
    def of(cls, Y_nm: Array, keep_m: Array | None = None) -> Scale:
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
        center_m, spread_m = kept_nm.mean(axis=0), kept_nm.std(axis=0)
        size_m = np.where(center_m == 0, 1.0, np.abs(center_m))
        alike_m = spread_m <= 1e-12 * size_m  # what rounding alone makes of equal values
        return cls(center_m, np.where(alike_m, size_m, spread_m), ceiling_m)

    def finer(self, outcome: int, unit: float) -> Scale:
        """The scale whose unit of one outcome is a given part of this one's."""
        spread_m = self.spread_m.copy()
        spread_m[outcome] *= unit
        return Scale(self.center_m, spread_m, self.ceiling_m)

    def bound(self, Y_nm: Array) -> Array:
        """Outcomes with what is beyond the ceiling brought down to it."""
        return np.minimum(Y_nm, self.ceiling_m)

    def apply(self, Y_nm: Array) -> Array:
        """Outcomes in standardised units."""
        return np.asarray((self.bound(Y_nm) - self.center_m) / self.spread_m)

    def restore(self, mean_nm: Array, sd_nm: Array) -> tuple[Array, Array]:
        """Means and standard deviations back in the outcomes' own units."""
        return self.center_m + self.spread_m * mean_nm, self.spread_m * sd_nm
