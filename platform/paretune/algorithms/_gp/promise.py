"""Which paused trials are worth more than a new one.

A trial's last rung is known; the changes from there on are forecast at its configuration. What its whole training is
expected to gain on those that there are, times the probability of keeping the limits, divided by what is left to train,
is weighed against the same of the new configuration, all of whose training is still to come (Swersky et al., 2014,
arXiv:1406.3896, weigh old trials against new ones).

Legend: r rungs, n trials, t those of them that are paused at one rung, m objectives, o outcomes (the objectives, then
other metrics under a limit), k members.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.gain import Gain, Moments, log_within
from paretune.algorithms._gp.knowledge import Knowledge
from paretune.algorithms._gp.ladder import Ladder, change_units
from paretune.records import Promises

Array = npt.NDArray[np.float64]

_MOST = 1
"""Of one suggestion, so that no more go on than are begun: what one of them gives changes what others promise."""


def promises(knowledge: Knowledge, paused: Collection[int], candidate_f: Array) -> Promises | None:
    """The paused trials to go on with before a candidate like this one; None while no rung is above another.

    Their values are logarithms of gain per resource, in standardised units.
    """
    ladder = knowledge.model
    if not isinstance(ladder, Ladder):
        return None
    gain, length = _gain(knowledge, ladder), ladder.rungs[-1]
    unknown_to = np.zeros((1, len(knowledge.limits_o)))
    (new,) = _promise(knowledge, ladder, gain, -1, candidate_f[None], unknown_to) - math.log(length)
    waiting_n = np.isin(knowledge.trials, list(paused))
    height_n = (~np.isnan(ladder.Z_rnm).any(axis=2)).cumsum(axis=0).argmax(axis=0)  # the highest rung of each
    rates: dict[int, float] = {}
    for rung, resource in enumerate(ladder.rungs[:-1]):
        at = np.flatnonzero(waiting_n & (height_n == rung))
        if len(at):
            promise_t = _promise(knowledge, ladder, gain, rung, knowledge.X_nf[at], ladder.Z_rnm[rung, at])
            rate_t = promise_t - math.log(length - resource)
            rates |= {knowledge.trials[place]: float(rate) for place, rate in zip(at, rate_t, strict=True)}
    better = sorted((trial for trial, rate in rates.items() if rate > new), key=rates.__getitem__, reverse=True)
    return Promises(below=length, trials={trial: rates[trial] for trial in better[:_MOST]})


def _gain(knowledge: Knowledge, ladder: Ladder) -> Gain:
    """On what the trials at the highest rung are expected to give."""
    there_n = ~np.isnan(ladder.Z_rnm[-1]).any(axis=1)
    with torch.no_grad():
        X_pf = torch.from_numpy(knowledge.X_nf[there_n])
        values_k1po = torch.stack([posterior(X_pf)[0][..., 0] for posterior in ladder.posteriors], dim=-1)[:, None]
    kept_k1p = (values_k1po <= torch.from_numpy(knowledge.limits_o)).all(-1)
    m = len(knowledge.reference_m)
    return Gain(values_k1po[..., :m], kept_k1p, torch.from_numpy(knowledge.reference_m))


def _promise(knowledge: Knowledge, ladder: Ladder, gain: Gain, rung: int, X_tf: Array, Z_to: Array) -> Array:
    """Gain per cost of configurations whose outcomes at a rung are known, or none of them (-1); shape (t,)."""
    X = torch.from_numpy(X_tf)
    moments = [_forecast(ladder, outcome, rung, X, torch.from_numpy(z_t)) for outcome, z_t in enumerate(Z_to.T)]
    promise_t = gain(moments[: len(knowledge.reference_m)])
    for outcome, limit in enumerate(knowledge.limits_o):
        if np.isfinite(limit):
            promise_t = promise_t + log_within(moments[outcome], float(limit))
    if knowledge.cost is not None:
        with torch.no_grad():
            promise_t = promise_t - knowledge.cost(X)
    return np.asarray(promise_t.numpy())


def _forecast(ladder: Ladder, outcome: int, rung: int, X_tf: torch.Tensor, z_t: torch.Tensor) -> Moments:
    """An outcome at the highest rung, from its value at a lower one; from nothing at -1."""
    mean_kt1 = torch.zeros(1, len(X_tf), 1, dtype=X_tf.dtype)
    variance_kt1 = torch.zeros_like(mean_kt1)
    if rung >= 0:
        mean_kt1 = ladder.slopes_rm[rung:, outcome].prod() * z_t[None, :, None]
    for above in range(rung + 1, len(ladder.steps)):
        step = ladder.steps[above]
        weight = float(ladder.slopes_rm[above:, outcome].prod())
        zero, unit = change_units(step, outcome, first=above == 0)
        with torch.no_grad():
            change_kt1, sd_kt1 = step.posteriors[outcome](X_tf)
        mean_kt1 = mean_kt1 + weight * (zero + unit * change_kt1)
        noise_k11 = step.noises[outcome][:, None, None]
        variance_kt1 = variance_kt1 + (weight * unit) ** 2 * (sd_kt1**2 + noise_k11)
    return mean_kt1, variance_kt1.sqrt()
