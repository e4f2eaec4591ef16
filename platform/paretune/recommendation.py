"""Which trial to use: by what its configuration gives on average, not by its luckiest value.

The mean and its interval are the surrogate's, of the outcome without the noise of a single trial; all trials of one
configuration, and its neighbours, have their say in it. With noise, that configuration is the best whose interval ends
best on its bad side: the best mean alone is often a lonely lucky value which the surrogate believes (mean regret over
60 runs of a bowl with noise, luck / best mean / best bad end: 0.044 / 0.050 / 0.028 with 1 parameter and 30 trials,
0.082 / 0.067 / 0.034 with 3 and 60, 0.034 / 0.020 / 0.013 with less noise). Where noise is negligible the best value
seen is the best.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from paretune import winners
from paretune.log import Trial
from paretune.objective import Objective, Objectives
from paretune.space import Space

INTERVAL = 0.9
"""The probability with which a configuration's mean lies between `low` and `high`."""

_WIDTH = 1.645  # standard deviations of a normal distribution on either side for that

_ENOUGH = 5
"""Configurations before a surrogate has anything to say: its hyperparameters would be the priors'."""

_NEGLIGIBLE = 0.1
"""Noise, relative to the spread of all results, below which the best observed value stands. The fit names about 0.08
(its prior's mode) when nothing speaks of noise: on Branin, without noise, 0.06 to 0.08 after 8 trials, 0.04 to 0.05
after 15; with noise of 0.4 of the spread, 0.27 to 0.44 after 30, and there the choice by the mean halves the regret."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A trial, and what to expect of its configuration by one objective, in the metric's own units.

    `low` and `high` hold the mean with probability 0.9; they are None where there are too few results to tell.
    `tries` is how many completed trials had the configuration; `noisy` whether the choice went by means and intervals, not by
    values.
    """

    trial: Trial
    objective: str
    expected: float
    low: float | None
    high: float | None
    tries: int
    noisy: bool


def recommend(
    trials: Iterable[Trial], space: Space, objectives: Objectives, objective: str | None = None
) -> Recommendation:
    """The best configuration by one objective, as the first trial that had it.

    Of the trials that contend (see `winners.contends`); those beyond a limit only inform the surrogate. Raises what
    `winners.best` raises.
    """
    seen = list(trials)
    aim = objectives[winners.place(objectives.names, objective)]
    groups = _by_configuration(winners.rivals(seen, objectives), space)
    values = np.array([np.mean([trial.metrics[aim.name] for trial in group]) for group in groups])
    if len(groups) < _ENOUGH:
        chosen = int(np.argmin(aim.sign * values))
        return _recommendation(groups[chosen], aim, float(values[chosen]), None, noisy=False)
    from paretune.algorithms._gp.hindsight import hindsight  # imports torch: only once there is a model

    done = [trial for trial in seen if trial.status == "completed" and not objectives.missing(trial.metrics)]
    rows = {trial.id: row for row, trial in enumerate(done)}
    at_g = [rows[group[0].id] for group in groups]
    y_n = aim.sign * np.array([trial.metrics[aim.name] for trial in done])
    fitted = hindsight(space, [trial.config for trial in done], y_n)
    noisy = fitted.noise > _NEGLIGIBLE * fitted.spread
    half_g = _WIDTH * fitted.sd_n[at_g]
    means = aim.sign * fitted.mean_n[at_g] if noisy else values
    chosen = int(np.argmin(aim.sign * means + half_g)) if noisy else int(np.argmin(aim.sign * means))
    half = float(half_g[chosen])
    return _recommendation(groups[chosen], aim, float(means[chosen]), half, noisy=noisy)


def _recommendation(
    group: Sequence[Trial], aim: Objective, expected: float, half: float | None, *, noisy: bool
) -> Recommendation:
    low, high = (None, None) if half is None else (expected - half, expected + half)
    return Recommendation(group[0], aim.name, expected, low, high, len(group), noisy)


def _by_configuration(trials: Iterable[Trial], space: Space) -> list[list[Trial]]:
    """Trials with equal configurations together, in the order of their first ones."""
    groups: defaultdict[object, list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.id):
        groups[space.key(trial.config)].append(trial)
    return list(groups.values())
