"""What a history teaches: all that follows from it alone, whatever is pending and whichever trial comes next.

Legend: n results, m objectives, f columns; Y_nm minimised values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.objective import Objectives
from paretune.pareto import fill_reference, non_dominated
from paretune.records import Observation
from paretune.space import Config

Array = npt.NDArray[np.float64]

_LEADERS = 3  # of a single objective; with several, the whole front leads

_LARGEST = 1e100  # squares of larger values are not numbers any more


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Fitted models and what they were fitted to; `reference_m` and `limits_m` are standardised."""

    surrogate: Surrogate
    feasibility: Feasibility | None
    X_nf: Array
    leaders: list[Config]
    reference_m: Array
    limits_m: Array


def results(history: Sequence[Observation], objectives: Objectives) -> list[Observation]:
    """The observations a regression may learn from."""
    return [observation for observation in history if _ended_well(observation, objectives)]


def learn(history: Sequence[Observation], objectives: Objectives, encoding: Encoding) -> Knowledge:
    """Fit the models; `history` must hold at least one result."""
    known = results(history, objectives)
    X_nf = encoding.features([observation.config for observation in known])
    Y_nm = np.clip([objectives.minimized(observation.metrics) for observation in known], -_LARGEST, _LARGEST)
    limits_m, reference_m = objectives.limits(), objectives.reference_point()
    keep_m = np.fmax(reference_m, np.where(np.isfinite(limits_m), limits_m, np.nan))
    surrogate = fit(X_nf, Y_nm, dimensions=len(encoding.space), keep_m=keep_m)

    bounded_nm = surrogate.scale.bound(Y_nm)
    feasible_n = np.all(Y_nm <= limits_m, axis=1)
    reference_m = _reference(bounded_nm[feasible_n] if feasible_n.any() else bounded_nm, reference_m)
    return Knowledge(
        surrogate=surrogate,
        feasibility=_feasibility(history, objectives, encoding),
        X_nf=X_nf,
        leaders=[known[i].config for i in _leading(Y_nm)],
        reference_m=surrogate.scale.apply(reference_m),
        limits_m=np.where(np.isfinite(limits_m), surrogate.scale.apply(limits_m), np.inf),
    )


def _ended_well(observation: Observation, objectives: Objectives) -> bool:
    """With every objective, and neither failed nor diverged. A stopped trial counts as what it had reached."""
    return observation.status in ("completed", "stopped") and not objectives.missing(observation.metrics)


def _feasibility(history: Sequence[Observation], objectives: Objectives, encoding: Encoding) -> Feasibility | None:
    """A model of ending well, once something has not."""
    well_n = np.array([_ended_well(observation, objectives) for observation in history])
    if well_n.all():
        return None
    X_nf = encoding.features([observation.config for observation in history])
    return Feasibility(X_nf, well_n, dimensions=len(encoding.space))


def _reference(Y_nm: Array, given_m: Array) -> Array:
    """The reference with what was not given filled in: what the front suggests, but no better than the median.

    The front's own extent alone leaves its ends unexplored as long as it is short (ZDT1, 5 parameters, 35 trials, mean
    hypervolume of 3 seeds: 3.56 of 4.07 without the median, 3.73 with it).
    """
    filled_m = np.maximum(fill_reference(Y_nm, np.full_like(given_m, np.nan)), np.median(Y_nm, axis=0))
    return np.where(np.isnan(given_m), filled_m, given_m)


def _leading(Y_nm: Array) -> npt.NDArray[np.intp]:
    if Y_nm.shape[1] == 1:
        return np.argsort(Y_nm[:, 0], kind="stable")[:_LEADERS]
    return np.flatnonzero(non_dominated(Y_nm))
