"""What a history teaches: all that follows from it alone, whatever is pending and whichever trial comes next.

Legend: n results, m objectives, o outcomes (the objectives, then other metrics under a limit), f columns; Y_no
minimised values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretune.algorithms._gp.calibration import rounded
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.parego import chebyshev, chebyshev_errors
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.algorithms._gp.transfer import Lessons, priors
from paretune.objective import Objectives
from paretune.pareto import fill_reference, non_dominated
from paretune.records import Observation
from paretune.space import Config

Array = npt.NDArray[np.float64]

_LEADERS = 10
_LEADERS_SEVERAL = 30
_LEADERS_MANY = 20  # from three objectives on: boxes
"""What is imagined anew in every draw: whatever may be the best, or on the front, when noise is taken away."""

_MOST = 500
"""Results in the model. The time per suggestion grows with their square from there on."""

_LARGEST = 1e100  # squares of larger values are not numbers any more


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Fitted models and what they were fitted to; `reference_m` and `limits_o` are standardised.

    `trust` has the weights of the earlier studies in each objective's prior mean, by name.
    """

    surrogate: Surrogate
    feasibility: Feasibility | None
    leaders: list[Config]
    leaders_bf: Array
    reference_m: Array
    limits_o: Array
    trust: list[dict[str, float]]


def results(history: Sequence[Observation], objectives: Objectives) -> list[Observation]:
    """The observations a regression may learn from."""
    return [observation for observation in history if _ended_well(observation, objectives)]


def learn(
    history: Sequence[Observation],
    objectives: Objectives,
    encoding: Encoding,
    lessons: Lessons | None = None,
    *,
    kernel: Kernel = "matern52",
    bend: bool = False,
    warp: bool = False,
    wide: bool = False,
    weights_m: Array | None = None,
) -> Knowledge:
    """Fit the models; `history` must hold at least one result.

    `lessons` are what earlier studies teach. With `bend` numbers may be bent; with `warp` a single objective may be
    warped; with `wide` a reference that is not given is the worst of the results; with `weights_m` the objectives are
    scalarised to one, which comes before the outcomes under a limit.
    """
    known, settled = _kept(results(history, objectives), objectives)
    X_nf = encoding.features([observation.config for observation in known])
    Y_no = np.clip([objectives.outcomes(observation.metrics) for observation in known], -_LARGEST, _LARGEST)
    errors_no = np.clip([objectives.errors(observation.metrics) for observation in known], 0.0, _LARGEST)
    m, limits_o, given_m = len(objectives), objectives.limits(), objectives.reference_point()
    if weights_m is not None:
        limited = np.isfinite(limits_o)
        scalarised_n = chebyshev_errors(Y_no[:, :m], errors_no[:, :m], weights_m)
        errors_no = np.column_stack([scalarised_n, errors_no[:, limited]])
        Y_no = np.column_stack([chebyshev(Y_no[:, :m], weights_m), Y_no[:, limited]])
        m, limits_o, given_m = 1, np.array([np.inf, *limits_o[limited]]), np.array([np.nan])
    others = np.full(len(limits_o) - m, np.nan)  # which have no reference
    keep_o = np.fmax([*given_m, *others], np.where(np.isfinite(limits_o), limits_o, np.nan))
    d = len(encoding.space)
    expected = priors(
        X_nf[:settled],
        Y_no[:settled, :m],
        dimensions=d,
        keep_m=keep_o[:m],
        lessons=lessons or Lessons(),
        warp=warp,
    )
    surrogate = fit(
        X_nf,
        Y_no,
        dimensions=d,
        kernel=kernel,
        errors_nm=errors_no,
        keep_m=keep_o,
        members=_members(len(known), m),
        settled=settled,
        warp=warp,
        bent_f=encoding.bendable if bend else None,
        priors=[*expected, *(None for _ in others)],
    )

    scaled_limits_o = np.where(np.isfinite(limits_o), surrogate.scale.apply(limits_o), np.inf)
    predicted_no, _ = surrogate.predict(X_nf)
    leading = _leading(predicted_no[:, :m], surrogate.scale.apply(Y_no) - scaled_limits_o)
    bounded_nm = surrogate.scale.bound(Y_no)[:, :m]
    feasible_n = np.all(Y_no <= limits_o, axis=1)
    reference_m = _reference(bounded_nm[feasible_n] if feasible_n.any() else bounded_nm, given_m, wide=wide)
    return Knowledge(
        surrogate=surrogate,
        feasibility=_feasibility(history, objectives, encoding),
        leaders=[known[i].config for i in leading],
        leaders_bf=X_nf[leading],
        reference_m=surrogate.scale.apply(np.array([*reference_m, *others]))[:m],
        limits_o=scaled_limits_o,
        trust=[{} if prior is None else dict(prior.weights) for prior in expected],
    )


def _members(n: int, m: int) -> int:
    """How many sets of hyperparameters stand for the plausible ones: the more results, the more alike these are.

    Fewer for two objectives and one for more, where the time goes into their boxes.
    """
    return 1 if m > 2 or n > 120 else 4 if m == 2 or n > 60 else 8


def _kept(known: list[Observation], objectives: Objectives) -> tuple[list[Observation], int]:
    """The results in the model, in their order, and how many of them are settled (see `calibration`).

    All up to `_MOST`; of more settled ones, the best by each objective and evenly spaced others.
    """
    settled = rounded(len(known))
    if settled <= _MOST:
        return known, settled
    Y_nm = np.array([objectives.minimized(observation.metrics) for observation in known[:settled]])
    best = np.unique(np.argsort(Y_nm, axis=0, kind="stable")[: _MOST // (4 * Y_nm.shape[1])])
    others = np.setdiff1d(np.arange(settled), best)
    spaced = others[np.linspace(0, len(others) - 1, _MOST - len(best)).round().astype(np.intp)]
    return [*(known[i] for i in np.union1d(best, spaced)), *known[settled:]], _MOST


def _ended_well(observation: Observation, objectives: Objectives) -> bool:
    """With all that is required, and neither failed nor diverged. A stopped trial counts as what it reached."""
    return observation.status in ("completed", "stopped") and not objectives.missing(observation.metrics)


def _feasibility(history: Sequence[Observation], objectives: Objectives, encoding: Encoding) -> Feasibility | None:
    """A model of ending well, once something has not."""
    well_n = np.array([_ended_well(observation, objectives) for observation in history])
    if well_n.all():
        return None
    X_nf = encoding.features([observation.config for observation in history])
    return Feasibility(X_nf, well_n, dimensions=len(encoding.space))


def _reference(Y_nm: Array, given_m: Array, *, wide: bool) -> Array:
    """The reference with what was not given filled in: what the front suggests, but no better than the median.

    With `wide` no better than the worst.

    The front's own extent alone leaves its ends unexplored as long as it is short (ZDT1, 5 parameters, 35 trials, mean
    hypervolume of 3 seeds: 3.56 of 4.07 without the median, 3.73 with it).
    """
    least_m = Y_nm.max(axis=0) if wide else np.median(Y_nm, axis=0)
    filled_m = np.maximum(fill_reference(Y_nm, np.full_like(given_m, np.nan)), least_m)
    return np.where(np.isnan(given_m), filled_m, given_m)


def _leading(predicted_nm: Array, excess_no: Array) -> npt.NDArray[np.intp]:
    """The results that may be the best ones, the best first: by prediction, because an observation may be lucky.

    What breaks a limit comes after all that keeps it, by how far it is beyond: `excess_no`, in standard deviations.
    """
    broken_n = np.maximum(excess_no, 0).max(axis=1)
    m = predicted_nm.shape[1]
    if m == 1:
        return np.lexsort((predicted_nm[:, 0], broken_n))[:_LEADERS]
    ranks_n = _ranks(predicted_nm)
    return np.lexsort((ranks_n, broken_n))[: _LEADERS_SEVERAL if m == 2 else _LEADERS_MANY]


def _ranks(Y_nm: Array) -> Array:
    """The number of the front that each point is on, peeling one after the other; shape (n,)."""
    ranks_n = np.full(len(Y_nm), np.inf)
    rank = 0.0
    while np.isinf(ranks_n).any() and np.isfinite(ranks_n).sum() < _LEADERS_SEVERAL:
        left = np.flatnonzero(np.isinf(ranks_n))
        ranks_n[left[non_dominated(Y_nm[left])]] = rank
        rank += 1
    return ranks_n
