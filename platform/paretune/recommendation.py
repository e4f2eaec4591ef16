"""Which trial to use: by what its configuration gives on average, not by its luckiest value.

The mean and its interval are a surrogate's, of the outcome without the noise of a single trial; all trials of one
configuration, and its neighbours, have their say in it. With noise, that configuration is the best whose interval ends
best on its bad side: the best mean alone may be a lonely lucky value (mean regret over 30 runs of a bowl, by luck,
best mean, best bad end: 0.060, 0.018, 0.016 with 1 parameter and 40 trials; 0.095, 0.063, 0.035 with 3 and 60; 0.066,
0.094, 0.043 with 3 and 25; but 0.051, 0.067, 0.057 with 1 and 15, where luck was best, and 0.124, 0.119, 0.106 with 6
and 40). How often the interval holds the mean is told in `_gp.hindsight`. Where noise is negligible the best value seen
is the best.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paretune import winners
from paretune.algorithms._gp.settings import Kernel
from paretune.log import Trial
from paretune.objective import Objective, Objectives
from paretune.space import Space

INTERVAL = 0.9
"""The probability with which a configuration's mean lies between `low` and `high`."""

_WIDTH = 1.645  # standard deviations of a normal distribution on either side for that

_ENOUGH = 5
"""Configurations before a surrogate has anything to say: its hyperparameters would be the priors'."""

_DOUBT = 0.25
"""Noise counts once the odds for it are three to one. When results say nothing about noise they are about even: of 36
searches without noise (Branin, Hartmann 6, Rastrigin 4; 8, 15, 30 trials) one went beyond three to one, of 12 with
noise of 0.4 of the spread and 30 trials, nine."""

_TELLING = 8
"""Results before which noise does not count: of 40 bowls without noise, 2 were taken for noisy with 5, none with 8."""


@dataclass(frozen=True, slots=True, repr=False)
class Recommendation:
    """A trial, and what to expect of its configuration by one objective, in the metric's own units.

    `low` and `high` hold the mean with probability 0.9; they are None where there are too few results to tell.
    `tries` is how many completed trials had the configuration; `noisy` whether the choice went by means and intervals,
    not by values.
    """

    trial: Trial
    objective: str
    expected: float
    low: float | None
    high: float | None
    tries: int
    noisy: bool

    def __repr__(self) -> str:
        interval = "" if self.low is None or self.high is None else f", {self.low:.4g} to {self.high:.4g}"
        return (
            f"Recommendation(trial {self.trial.id}: {self.objective} {self.expected:.4g}{interval}, "
            f"{self.tries} {'tries' if self.tries > 1 else 'try'})"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data, the trial by its number and configuration."""
        plain = {field: getattr(self, field) for field in ("objective", "expected", "low", "high", "tries", "noisy")}
        return {"trial": self.trial.id, "config": dict(self.trial.config), **plain}


def recommend(
    trials: Iterable[Trial],
    space: Space,
    objectives: Objectives,
    objective: str | None = None,
    *,
    kernel: Kernel = "matern52",
) -> Recommendation:
    """The best configuration by one objective, as the first trial that had it.

    Of the trials that contend (see `winners.contends`); those beyond a limit only inform the surrogate, whose kernel
    may be the study's own (`algorithms.kernel_of`). Where trainings changed their configurations on the way, results
    are not the last one's alone, and the best value seen is the best. Raises what `winners.best` raises.
    """
    seen = list(trials)
    aim = objectives[winners.place(objectives.names, objective)]
    groups = _by_configuration(winners.rivals(seen, objectives), space)
    inherited = any(trial.inherited is not None for trial in seen)
    if inherited:
        groups = [[trial] for group in groups for trial in group]
    values = np.array([np.mean([trial.metrics[aim.name] for trial in group]) for group in groups])
    if len(groups) < _ENOUGH or inherited:
        chosen = int(np.argmin(aim.sign * values))
        return _recommendation(groups[chosen], aim, float(values[chosen]), noisy=False)
    from paretune.algorithms._gp.hindsight import hindsight  # imports torch: only once there is a model

    done = [trial for trial in seen if trial.status == "completed" and not objectives.missing(trial.metrics)]
    rows = {trial.id: row for row, trial in enumerate(done)}
    at_g = [rows[group[0].id] for group in groups]
    y_n = aim.sign * np.array([trial.metrics[aim.name] for trial in done])
    errors_n = None if aim.standard_error is None else np.array([trial.metrics[aim.standard_error] for trial in done])
    fitted = hindsight(space, [trial.config for trial in done], y_n, errors_n, kernel=kernel)
    noisy = len(done) >= _TELLING and fitted.quiet < _DOUBT
    half_g = _WIDTH * fitted.sd_n[at_g]
    means = aim.sign * fitted.mean_n[at_g] if noisy else values
    chosen = int(np.argmin(aim.sign * means + half_g)) if noisy else int(np.argmin(aim.sign * means))
    mean, half, expected = aim.sign * fitted.mean_n[at_g[chosen]], half_g[chosen], float(means[chosen])
    interval = min(expected, float(mean - half)), max(expected, float(mean + half))
    return _recommendation(groups[chosen], aim, expected, interval, noisy=noisy)


def _recommendation(
    group: Sequence[Trial],
    aim: Objective,
    expected: float,
    interval: tuple[float, float] | None = None,
    *,
    noisy: bool,
) -> Recommendation:
    low, high = (None, None) if interval is None else interval
    return Recommendation(group[0], aim.name, expected, low, high, len(group), noisy)


def _by_configuration(trials: Iterable[Trial], space: Space) -> list[list[Trial]]:
    """Trials with equal configurations together, in the order of their first ones."""
    groups: defaultdict[object, list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.id):
        groups[space.key(trial.config)].append(trial)
    return list(groups.values())
