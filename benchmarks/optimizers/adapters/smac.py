"""SMAC3's hyperparameter-optimisation facade (Lindauer et al., 2022); ParEGO for several objectives.

Conditions are passed on. Limits are not known to it: infeasible values are replaced by the worst seen.
"""

from __future__ import annotations

import tempfile
from typing import Any

from ConfigSpace import Configuration
from smac import HyperparameterOptimizationFacade, Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from benchmarks.optimizers.adapters._configuration_space import configuration_space
from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, plain, serve
from benchmarks.optimizers.spaces import Config

_QUIET = 50  # the level of critical messages


class Smac:
    def __init__(self, problem: Problem) -> None:
        self._several = problem.objectives > 1
        self._penalty = Penalty(problem.objectives)
        self._space = configuration_space(problem.space, problem.seed)
        names = [f"y{i}" for i in range(problem.objectives)]
        scenario = Scenario(
            self._space,
            objectives=names if self._several else names[0],
            n_trials=problem.trials,
            seed=problem.seed,
            deterministic=True,
            output_directory=tempfile.mkdtemp(),
        )
        more: dict[str, Any] = {"multi_objective_algorithm": ParEGO(scenario)} if self._several else {}
        if problem.given:  # no initial design, which would stand before the model
            more["initial_design"] = HyperparameterOptimizationFacade.get_initial_design(
                scenario, n_configs=0, additional_configs=[self._space.get_default_configuration()]
            )
        self._facade = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=_QUIET, **more
        )

    def ask(self) -> tuple[TrialInfo, Config]:
        trial = self._facade.ask()
        return trial, {name: plain(value) for name, value in dict(trial.config).items()}

    def tell(self, trial: TrialInfo, config: Config, result: Result) -> None:
        values = self._penalty.values(result)
        self._facade.tell(trial, TrialValue(cost=values if self._several else values[0]), save=False)

    def add(self, config: Config, result: Result) -> None:
        self.tell(TrialInfo(Configuration(self._space, values=config), seed=0), config, result)


if __name__ == "__main__":
    serve(Smac, "smac")
