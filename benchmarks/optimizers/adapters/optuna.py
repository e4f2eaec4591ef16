"""Optuna: option `sampler` is tpe (its default), tpe-mv (also multivariate where there are conditions), gp or nsga2.

Conditions by define-by-run, limits by `constraints_func`. Input constraints are unknown to it: such trials fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config, Parameter, Space

optuna.logging.set_verbosity(optuna.logging.ERROR)

_EXCESS = "excess"


class Optuna:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        directions = [StudyDirection.MINIMIZE] * problem.objectives
        self._study = optuna.create_study(directions=directions, sampler=_sampler(problem))

    def ask(self) -> tuple[Trial, Config]:
        trial = self._study.ask()
        return trial, suggested(trial, self._problem.space)

    def tell(self, trial: Trial, config: Config, result: Result) -> None:
        if self._problem.limits:
            trial.set_user_attr(_EXCESS, self._excess(result))
        if result.values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, result.values)

    def add(self, config: Config, result: Result) -> None:
        known = {p.name: _distribution(p) for p in self._problem.space if p.name in config}
        made = optuna.trial.create_trial(params=config, distributions=known, values=result.values)
        self._study.add_trial(made)

    def _excess(self, result: Result) -> list[float]:
        """By how much each limit is exceeded; a failed trial exceeds all."""
        if result.values is None:
            return [1.0] * len(self._problem.limits)
        return [result.metrics[name] - upper for name, upper in self._problem.limits.items()]


def _sampler(problem: Problem) -> BaseSampler:
    constraints: Any = {"constraints_func": _read_excess} if problem.limits else {}
    name, seed = problem.options["sampler"], problem.seed
    if name == "tpe":
        return TPESampler(seed=seed, **constraints)
    if name == "tpe-mv":
        return TPESampler(seed=seed, multivariate=True, group=True, **constraints)
    if name == "gp":
        return GPSampler(seed=seed, **constraints)
    if name == "nsga2":
        return NSGAIISampler(seed=seed, **constraints)
    raise ValueError(f"sampler: must be tpe, tpe-mv, gp or nsga2, got {name!r}")


def _read_excess(trial: FrozenTrial) -> Sequence[float]:
    excess: list[float] = trial.user_attrs[_EXCESS]
    return excess


def suggested(trial: Trial, space: Space) -> Config:
    """What a trial suggests, parameter by parameter: conditions come by themselves."""
    config: Config = {}
    for parameter in space:
        if parameter.active(config):
            config[parameter.name] = _suggest(trial, parameter)
    return config


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    if parameter.kind == "choice":
        return trial.suggest_categorical(parameter.name, parameter.options)
    if parameter.kind == "int":
        return trial.suggest_int(parameter.name, int(parameter.low), int(parameter.high), log=parameter.log)
    return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log)


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.kind == "choice":
        return CategoricalDistribution(parameter.options)
    if parameter.kind == "int":
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


if __name__ == "__main__":
    serve(Optuna, "optuna")
