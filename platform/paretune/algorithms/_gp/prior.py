"""A mean known before the first result: an affine function of what other models expect.

Legend: n results, t test points, f columns; z_n standardised outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from paretune.algorithms._gp.process import Mean

_DOUBT = 4.0
"""Results that the doubt about a prior mean weighs."""


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """offset + the sum of slope times mean; points (t, f) to values (t,), differentiable. Equal to itself alone.

    `weights` say how probable it is that a source is of use, by its name.
    """

    offset: float
    slopes: tuple[float, ...]
    means: tuple[Mean, ...]
    weights: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        value_t = torch.full_like(X_tf[:, 0], self.offset)
        for slope, mean in zip(self.slopes, self.means, strict=True):
            value_t = value_t + slope * mean(X_tf)
        return value_t

    def in_units_of(self, unit: float) -> Prior:
        """The same with its values divided by `unit`."""
        return replace(self, offset=self.offset / unit, slopes=tuple(slope / unit for slope in self.slopes))

    def left_over(self, X_nf: torch.Tensor, z_n: torch.Tensor) -> float:
        """The standard deviation to expect of what it leaves over.

        Of few results it leaves less than of those to come, so less than half of theirs is believed only as results
        come in. Without that a search sits where an earlier one ended: on Branin's function, moved by a tenth, for ten
        trials in a valley of the source's.
        """
        square = float((z_n - self(X_nf)).var(correction=0))
        doubt = max(float(z_n.var(correction=0)) / 4 - square, 0.0) * _DOUBT / (len(z_n) + _DOUBT)
        return (square + doubt) ** 0.5 or 1.0
