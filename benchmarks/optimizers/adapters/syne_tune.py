"""Syne Tune's Bayesian optimisation: its BoTorch searcher, EHVI for several objectives. Conditions are flattened."""

from __future__ import annotations

import datetime
from typing import Any

import torch
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import EHVI, BOTorch

from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, plain, serve
from benchmarks.optimizers.spaces import Config, Parameter, Space

torch.set_num_threads(1)


class SyneTune:
    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(problem.seed)
        self._penalty = Penalty(problem.objectives)
        self._space = problem.space
        self._names = [f"y{i}" for i in range(problem.objectives)]
        self._trials = 0
        known = {parameter.name: declared(parameter) for parameter in problem.space}
        if problem.objectives > 1:
            self._scheduler: Any = EHVI(known, metrics=self._names, random_seed=problem.seed)
        else:
            self._scheduler = BOTorch(known, metric=self._names[0], random_seed=problem.seed)

    def ask(self) -> tuple[Trial, Config]:
        trial = self._trial(self._scheduler.suggest().config)
        self._scheduler.on_trial_add(trial)
        return trial, within(self._space, trial.config)

    def tell(self, trial: Trial, config: Config, result: Result) -> None:
        values = self._penalty.values(result)
        self._scheduler.on_trial_complete(trial, dict(zip(self._names, values, strict=True)))

    def add(self, config: Config, result: Result) -> None:
        searcher = self._scheduler.searcher
        if hasattr(searcher, "trial_configs"):
            searcher.trial_configs[self._trials] = config
        self.tell(self._trial(config), config, result)

    def _trial(self, config: Config) -> Trial:
        self._trials += 1
        return Trial(trial_id=self._trials - 1, config=config, creation_time=datetime.datetime.now())


def within(space: Space, config: Config) -> Config:
    """Plain values inside their bounds: its searchers can leave those of a logarithmic integer by one."""
    plain_values = {name: plain(value) for name, value in config.items()}
    for parameter in space:
        if parameter.kind != "choice":
            plain_values[parameter.name] = min(max(plain_values[parameter.name], parameter.low), parameter.high)
    return plain_values


def declared(parameter: Parameter) -> Any:
    """A parameter as Syne Tune declares it; it knows no conditions."""
    if parameter.kind == "choice":
        return choice(list(parameter.options))
    if parameter.kind == "int":
        return (lograndint if parameter.log else randint)(int(parameter.low), int(parameter.high))
    return (loguniform if parameter.log else uniform)(parameter.low, parameter.high)


if __name__ == "__main__":
    serve(SyneTune, "syne-tune")
