"""What a history teaches: all that follows from it alone, whatever is pending and whichever trial comes next.

Legend: n results, m objectives, o outcomes (the objectives, then other metrics under a limit), f columns; Y_no
minimised values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.analytic import memory_shares
from paretune.algorithms._gp.beginnings import of_beginnings
from paretune.algorithms._gp.calibration import Manner
from paretune.algorithms._gp.cost import Cost, learn_cost
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.ladder import Ladder, climb
from paretune.algorithms._gp.memory import Memory
from paretune.algorithms._gp.model import Model
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import fit
from paretune.algorithms._gp.table import tabulate
from paretune.algorithms._gp.transfer import Lessons, priors
from paretune.algorithms._outcomes import ended_well
from paretune.objective import Objectives
from paretune.pareto import best_first, fill_reference, non_dominated
from paretune.records import ENDINGS, Observation
from paretune.space import Config

Array = npt.NDArray[np.float64]

_SAMPLE = 31  # with a third and a half of it exactly, a quarter nearly

_MEMBERS_LADDER = 4  # each trial has several observations, so that a suggestion takes no longer than without rungs

_LEADERS = 10
_LEADERS_SEVERAL = 30
_LEADERS_MANY = 20  # from three objectives on: boxes
"""What is imagined anew in every draw: whatever may be the best, or on the front, when noise is taken away."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Fitted models and what they were fitted to; `reference_m` and `limits_o` are standardised.

    `others` are minimised expected ends of trials at each lower rung (see `Forecast`). `trust` has the weights of the
    earlier studies in each objective's prior mean, by name; `cost` is None where it does not count.
    """

    model: Model
    feasibility: Feasibility | None
    others: dict[float, Array]
    leaders: list[Config]
    leaders_bf: Array
    reference_m: Array
    limits_o: Array
    trust: list[dict[str, float]]
    cost: Cost | None


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
    rungs: Sequence[float] = (),
    whole: bool = False,
    beginnings: bool = True,
    cost_aware: bool = False,
) -> Knowledge:
    """Fit the models; `history` must hold at least one result.

    `lessons` are what earlier studies teach. With `bend` numbers may be bent; with `warp` a single objective may be
    warped; with `wide` a reference that is not given is the worst of the results; with `weights_m` the objectives are
    scalarised to one, which comes before the outcomes under a limit. With `rungs` all outcomes are those expected at
    the highest rung that enough trials have reached, judged by all rungs of all trials (see `ladder`); with `whole` the
    ends of whole trainings alone decide, and with `beginnings` what lower rungs expect is a lesson. With `cost_aware`
    costs are learnt too.
    """
    m, limits_o, given_m = len(objectives), objectives.limits(), objectives.reference_point()
    table = tabulate(history, objectives, encoding, rungs)
    if weights_m is not None:
        limited = np.isfinite(limits_o)
        table = table.scalarised(weights_m, limited)
        m, limits_o, given_m = 1, np.array([np.inf, *limits_o[limited]]), np.array([np.nan])
    others = np.full(len(limits_o) - m, np.nan)  # which have no reference
    d, lessons = len(encoding.space), lessons or Lessons()
    if whole:
        lessons += of_beginnings(table, dimensions=d, kernel=kernel) if beginnings else Lessons()
        table = table.at(-1)
    keep_o = np.fmax([*given_m, *others], np.where(np.isfinite(limits_o), limits_o, np.nan))
    X_nf, Y_no = table.X_nf, table.Y_rno[0]
    taught = max(m, lessons.outcomes)
    expected = priors(
        X_nf[: table.settled],
        Y_no[: table.settled, :taught],
        dimensions=d,
        keep_m=keep_o[:taught],
        lessons=lessons,
        kernel=kernel,
        warp=warp,
    )
    bent_f = encoding.bendable if bend else None
    given: Any = {"keep_m": keep_o, "settled": table.settled, "priors": [*expected, *(None for _ in limits_o[taught:])]}
    model: Model
    if len(table.rungs) > 1:
        observations = int((~np.isnan(table.Y_rno[:, :, 0])).sum())
        manner = Manner(
            dimensions=d, kernel=kernel, members=min(_members(observations, m), _MEMBERS_LADDER), bent_f=bent_f
        )
        model = climb(X_nf, table.Y_rno, table.rungs, manner, errors_rnm=table.errors_rno, **given)
    else:
        members, errors_no = _members(len(X_nf), m), table.errors_rno[0]
        model = fit(
            X_nf,
            Y_no,
            dimensions=d,
            kernel=kernel,
            errors_nm=errors_no,
            members=members,
            warp=warp,
            bent_f=bent_f,
            **given,
        )

    scaled_limits_o = np.where(np.isfinite(limits_o), model.scale.apply(limits_o), np.inf)
    predicted_no, _ = model.predict(X_nf)
    if len(table.rungs) > 1:
        Y_no = predicted_no  # few have one of their own
    leading = _leading(predicted_no[:, :m], model.scale.apply(Y_no) - scaled_limits_o)
    bounded_nm = model.scale.bound(Y_no)[:, :m]
    feasible_n = np.all(Y_no <= limits_o, axis=1)
    reference_m = _reference(bounded_nm[feasible_n] if feasible_n.any() else bounded_nm, given_m, wide=wide)
    return Knowledge(
        model=model,
        feasibility=_feasibility(history, objectives, encoding),
        others=_others(model, X_nf, m, limits_o),
        leaders=[table.configs[i] for i in leading],
        leaders_bf=X_nf[leading],
        reference_m=model.scale.apply(np.array([*reference_m, *others]))[:m],
        limits_o=scaled_limits_o,
        trust=[{} if prior is None else dict(prior.weights) for prior in expected[:m]],
        cost=learn_cost(history, encoding) if cost_aware else None,
    )


def _others(model: Model, X_nf: Array, m: int, limits_o: Array) -> dict[float, Array]:
    """How the trials at each lower rung are expected to end: a sample from the best to the worst; shapes (q, o)."""
    if not isinstance(model, Ladder):
        return {}
    Y_no, _ = model.predict(X_nf)
    found, shares = {}, np.linspace(0, 1, _SAMPLE)
    for rung, passed_n in zip(model.rungs[:-1], model.passed_rn, strict=False):
        there_so = Y_no[passed_n]
        if there_so.shape[1] == 1:
            found[rung] = np.quantile(there_so, shares, axis=0)
        else:
            violation_s = np.maximum(there_so - limits_o, 0).sum(axis=1)
            order = best_first(there_so[:, :m], violation_s)
            found[rung] = there_so[order[(shares * (len(order) - 1)).round().astype(np.intp)]]
    return found


def _members(n: int, m: int) -> int:
    """How many sets of hyperparameters stand for the plausible ones: the more results, the more alike these are.

    Fewer for two objectives and one for more, where the time goes into their boxes.
    """
    return 1 if m > 2 or n > 120 else 4 if m == 2 or n > 60 else 8


def enough_memory(
    history: Sequence[Observation], objectives: Objectives, encoding: Encoding
) -> Callable[[Config], bool] | None:
    """Whether there is probably memory enough for a configuration's layout; None while all trials have ended well."""
    X_nf, well_n = _endings(history, objectives, encoding)
    shares = memory_shares(encoding)
    if well_n.all() or shares is None:
        return None
    memory = Memory(shares, X_nf, well_n)
    return lambda config: memory.log_probability(torch.from_numpy(encoding.features([config]))).item() > math.log(0.5)


def _feasibility(history: Sequence[Observation], objectives: Objectives, encoding: Encoding) -> Feasibility | None:
    """A model of ending well, once something has not."""
    X_nf, well_n = _endings(history, objectives, encoding)
    if well_n.all():
        return None
    return Feasibility(X_nf, well_n, dimensions=len(encoding.space), shares=memory_shares(encoding))


def _endings(
    history: Sequence[Observation], objectives: Objectives, encoding: Encoding
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The columns of what has ended, and whether it did well; what has not ended says nothing."""
    ended = [observation for observation in history if observation.status in ENDINGS]
    well_n = np.array([ended_well(observation, objectives) for observation in ended], dtype=np.bool_)
    return encoding.features([observation.config for observation in ended]), well_n


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
