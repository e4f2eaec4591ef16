"""How well a surrogate explains the results of a study.

Legend: n completed trials.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from paretune.algorithms import kernel_of
from paretune.diagnosis.records import Forecasts, ModelCheck
from paretune.log import Log, Trial
from paretune.study import StudySpec

Array = npt.NDArray[np.float64]

_ENOUGH = 5
"""Results before which a surrogate's hyperparameters are its priors', and say nothing of the study."""

_HALF, _NINE_TENTHS = 0.6745, 1.645  # standard deviations on either side of a normal mean


def checks(spec: StudySpec, log: Log) -> tuple[ModelCheck, ...]:
    """One for each objective and each metric under a limit, in this order.

    None while there are too few results, or where they are not those of one configuration each.
    """
    if log.changing:
        return ()
    done = [log.trials[seen.trial] for seen in log.history if seen.status == "completed"]
    done = [trial for trial in done if not spec.objectives.missing(trial.metrics)]
    if len(done) < _ENOUGH:
        return ()
    return tuple(_check(spec, done, metric, sign) for metric, sign in _metrics(spec).items())


def forecasts(trials: Sequence[int], predicted_n: Array, sd_n: Array, observed_n: Array) -> Forecasts:
    """Predictions held against results; at least one."""
    residual_n = (observed_n - predicted_n) / sd_n
    constant = np.ptp(predicted_n) == 0 or np.ptp(observed_n) == 0
    return Forecasts(
        trials=tuple(trials),
        predicted=tuple(predicted_n.tolist()),
        sd=tuple(sd_n.tolist()),
        observed=tuple(observed_n.tolist()),
        within_50=float(np.mean(np.abs(residual_n) <= _HALF)),
        within_90=float(np.mean(np.abs(residual_n) <= _NINE_TENTHS)),
        residual_sd=float(np.sqrt(np.mean(residual_n**2))),
        correlation=None if constant else float(spearmanr(predicted_n, observed_n).statistic),
    )


def _metrics(spec: StudySpec) -> dict[str, float]:
    """The metrics that are modelled, and whether large values are the bad ones (+1) or small ones (-1)."""
    signs = {objective.name: objective.sign for objective in spec.objectives}
    return signs | {limit.name: limit.bounds[0].sign for limit in spec.objectives.limited}


def _check(spec: StudySpec, done: Sequence[Trial], metric: str, sign: float) -> ModelCheck:
    from paretune.algorithms._gp.hindsight import hindsight  # imports torch: only once there is a model

    observed_n = np.array([trial.metrics[metric] for trial in done])
    error = next((o.standard_error for o in spec.objectives if o.name == metric), None)
    errors_n = None if error is None else np.array([trial.metrics[error] for trial in done])
    kernel = kernel_of(spec.search.algorithm)
    seen = hindsight(spec.space, [trial.config for trial in done], sign * observed_n, errors_n, kernel=kernel)
    known_n = sign * seen.known_n
    left_out = forecasts([trial.id for trial in done], sign * seen.left_out_mean_n, seen.left_out_sd_n, known_n)
    return ModelCheck(
        metric=metric,
        left_out=left_out,
        suggested=_suggested(done, metric, known_n, seen.noise),
        noise=seen.noise,
        signal=float(np.std(seen.mean_n)),
        spread=seen.spread,
        quiet=seen.quiet,
        lengthscales=seen.lengthscales,
    )


def _suggested(done: Sequence[Trial], metric: str, known_n: Array, noise: float) -> Forecasts | None:
    """What was said of trials when they were suggested; a result has the noise on top of what was said."""
    told = [
        (trial.id, proposal.mean[metric], proposal.sd[metric], known)
        for trial, known in zip(done, known_n.tolist(), strict=True)
        if (proposal := trial.suggestion.proposal).mean is not None
        and proposal.sd is not None
        and metric in proposal.mean
        and metric in proposal.sd
    ]
    if not told:
        return None
    trials, predicted, sd, observed = zip(*told, strict=True)
    return forecasts(trials, np.array(predicted), np.hypot(np.array(sd), noise), np.array(observed))
