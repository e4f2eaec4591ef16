"""SMAC3's multi-fidelity facade: Hyperband's brackets, a random forest fitted on the highest budget.

Conditions are passed on; what diverges is told as the worst value seen.
"""

from __future__ import annotations

import tempfile
from typing import Any

from smac import MultiFidelityFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from benchmarks.fidelity.adapters._serve import REDUCTION, Problem, Progress, serve
from benchmarks.optimizers.adapters._configuration_space import configuration_space
from benchmarks.optimizers.adapters._serve import Penalty
from benchmarks.optimizers.spaces import Config

_QUIET = 50  # the level of critical messages


class Smac:
    def __init__(self, problem: Problem) -> None:
        self._penalty = Penalty(problem.objectives)
        scenario = Scenario(
            configuration_space(problem.space, problem.seed),
            n_trials=1_000_000,
            min_budget=1,
            max_budget=problem.epochs,
            seed=problem.seed,
            deterministic=True,
            output_directory=tempfile.mkdtemp(),
        )
        self._facade: Any = MultiFidelityFacade(
            scenario,
            lambda config, seed=0, budget=0: 0.0,
            intensifier=MultiFidelityFacade.get_intensifier(scenario, eta=REDUCTION),
            overwrite=True,
            logging_level=_QUIET,
        )

    def ask(self) -> tuple[TrialInfo, Config, int] | None:
        try:
            trial = self._facade.ask()
        except StopIteration:  # until a rung is complete
            return None
        return trial, dict(trial.config), max(1, round(trial.budget))

    def report(self, trial: TrialInfo, progress: Progress) -> bool:
        return True

    def tell(self, trial: TrialInfo, progress: Progress) -> None:
        (value,) = self._penalty.values(progress)
        self._facade.tell(trial, TrialValue(cost=value, time=progress.seconds), save=False)


if __name__ == "__main__":
    serve(Smac, "smac")
