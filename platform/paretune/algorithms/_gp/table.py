"""Results as arrays: who enters the regression, and what it learns from them.

Legend: n trials, r rungs, m objectives, o outcomes (the objectives, then other metrics under a limit), f columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from paretune.algorithms._gp.calibration import rounded
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.ladder import heights
from paretune.algorithms._gp.parego import chebyshev, chebyshev_errors
from paretune.algorithms._outcomes import ended_well
from paretune.objective import Objectives
from paretune.records import Metrics, Observation
from paretune.space import Config

Array = npt.NDArray[np.float64]

_MOST = 500
"""Results in the model. The time per suggestion grows with their square from there on."""

_LARGEST = 1e100  # squares of larger values are not numbers any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Outcomes of each trial at each rung, not a number where it did not get, and their known standard errors.

    The first `settled` trials are settled (see `calibration`). Without rungs there is one, at the end.
    """

    configs: list[Config]
    settled: int
    rungs: tuple[float, ...]
    X_nf: Array
    Y_rno: Array
    errors_rno: Array

    def at(self, level: int) -> Table:
        """What was seen at one rung, by its place, of the trials that got there."""
        there_n = ~np.isnan(self.Y_rno[level]).any(axis=1)
        return replace(
            self,
            configs=[config for config, there in zip(self.configs, there_n, strict=True) if there],
            settled=int(there_n[: self.settled].sum()),
            rungs=(),
            X_nf=self.X_nf[there_n],
            Y_rno=self.Y_rno[level][None, there_n],
            errors_rno=self.errors_rno[level][None, there_n],
        )

    def scalarised(self, weights_m: Array, limited_o: npt.NDArray[np.bool_]) -> Table:
        """With one outcome in place of the m objectives, before those under a limit."""
        m = len(weights_m)
        Y_rno = np.full((*self.Y_rno.shape[:2], 1 + limited_o.sum()), np.nan)
        errors_rno = np.zeros_like(Y_rno)
        for rung, (Y_no, errors_no) in enumerate(zip(self.Y_rno, self.errors_rno, strict=True)):
            there_n = ~np.isnan(Y_no).any(axis=1)
            Y_so, errors_so = Y_no[there_n], errors_no[there_n]
            errors_s = chebyshev_errors(Y_so[:, :m], errors_so[:, :m], weights_m)
            Y_rno[rung, there_n] = np.column_stack([chebyshev(Y_so[:, :m], weights_m), Y_so[:, limited_o]])
            errors_rno[rung, there_n] = np.column_stack([errors_s, errors_so[:, limited_o]])
        return replace(self, Y_rno=Y_rno, errors_rno=errors_rno)


def results(history: Sequence[Observation], objectives: Objectives, rungs: Sequence[float] = ()) -> list[Observation]:
    """The observations a regression may learn from: with rungs, of all trials that passed one and have not failed."""
    if not rungs:
        return [observation for observation in history if ended_well(observation, objectives)]
    return [o for o in history if o.status not in ("failed", "diverged") and _curve(o, objectives, rungs)]


def tabulate(
    history: Sequence[Observation], objectives: Objectives, encoding: Encoding, rungs: Sequence[float]
) -> Table:
    """The results of a history, which must hold at least one; of the rungs those that are to be modelled."""
    known, settled = _kept(results(history, objectives, rungs), objectives)
    o = len(objectives.outcome_names)
    Y_rno = np.full((max(1, len(rungs)), len(known), o), np.nan)
    errors_rno = np.zeros_like(Y_rno)
    for place, observation in enumerate(known):
        curve = _curve(observation, objectives, rungs) if rungs else {0: observation.metrics}
        for rung, metrics in curve.items():
            Y_rno[rung, place] = np.clip(objectives.outcomes(metrics), -_LARGEST, _LARGEST)
            errors_rno[rung, place] = np.clip(objectives.errors(metrics), 0.0, _LARGEST)
    modelled = heights(Y_rno)
    there_n = ~np.isnan(Y_rno[modelled[0]]).any(axis=1)
    known = [observation for observation, there in zip(known, there_n, strict=True) if there]
    configs = [observation.config for observation in known]
    return Table(
        configs=configs,
        settled=int(there_n[:settled].sum()),
        rungs=tuple(rungs[rung] for rung in modelled) if rungs else (),
        X_nf=encoding.features(configs),
        Y_rno=Y_rno[modelled][:, there_n],
        errors_rno=errors_rno[modelled][:, there_n],
    )


def _curve(observation: Observation, objectives: Objectives, rungs: Sequence[float]) -> dict[int, Metrics]:
    """What was reported at the rungs passed, by their places; a training that ended early stays as it was."""
    curve = {
        place: observation.curve[rung]
        for place, rung in enumerate(rungs)
        if rung in observation.curve and not objectives.missing(observation.curve[rung])
    }
    if observation.status == "completed" and not objectives.missing(observation.metrics):
        last = max(curve, default=-1)
        curve |= dict.fromkeys(range(last + 1, len(rungs)), observation.metrics)
    return curve


def _kept(known: list[Observation], objectives: Objectives) -> tuple[list[Observation], int]:
    """The results in the model, in their order, and how many of them are settled (see `calibration`).

    All up to `_MOST`; of more settled ones, those that got furthest and the best by each objective, and evenly spaced
    others.
    """
    settled = rounded(len(known))
    if settled <= _MOST:
        return known, settled
    Y_nm = np.array([objectives.minimized(observation.metrics) for observation in known[:settled]])
    passed_n = np.array([len(observation.curve) for observation in known[:settled]])
    order = [np.lexsort((y_n, -passed_n)) for y_n in Y_nm.T]
    best = np.unique([places[: _MOST // (4 * len(order))] for places in order])
    others = np.setdiff1d(np.arange(settled), best)
    spaced = others[np.linspace(0, len(others) - 1, _MOST - len(best)).round().astype(np.intp)]
    return [*(known[i] for i in np.union1d(best, spaced)), *known[settled:]], _MOST
