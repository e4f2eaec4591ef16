"""What a configuration costs: worker-seconds per unit of resource, from the trials so far.

Expected improvement per second (Snoek, Larochelle and Adams, 2012, arXiv:1206.2944, section 3.2): a Gaussian process on
the logarithm of the cost; its mean is taken off the logarithm of the acquisition.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.calibration import rounded
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.surrogate import fit
from paretune.records import Observation

Array = npt.NDArray[np.float64]

_ENOUGH = 5  # trials before costs are told apart
_MOST = 150  # trials, evenly spaced: costs are smooth


class Cost:
    """The logarithm of the cost, up to a constant; X_nf are encoded configurations, cost_n positive."""

    def __init__(self, X_nf: Array, cost_n: Array, *, dimensions: int) -> None:
        surrogate = fit(X_nf, np.log(cost_n)[:, None], dimensions=dimensions)
        (self._posterior,) = surrogate.posteriors
        self._unit = float(surrogate.scale.own_units_m()[0])

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """Shape (t,), differentiable."""
        return self._unit * self._posterior.mean(X_tf)[0, :, 0]


def learn_cost(history: Sequence[Observation], encoding: Encoding) -> Cost | None:
    """The cost, from the settled trials that used some resource; None while they are few, or all cost the same."""
    known = [seen for seen in history if seen.resource > 0 and seen.worker_seconds > 0]
    settled = rounded(len(known))
    known = [known[i] for i in np.unique(np.linspace(0, settled - 1, min(settled, _MOST)).round().astype(np.intp))]
    cost_n = np.array([seen.worker_seconds / seen.resource for seen in known])
    if len(known) < _ENOUGH or np.ptp(cost_n) == 0:
        return None
    X_nf = encoding.features([seen.config for seen in known])
    return Cost(X_nf, cost_n, dimensions=len(encoding.space))
