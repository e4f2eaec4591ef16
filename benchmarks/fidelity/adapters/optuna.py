"""Optuna's TPE with a pruner: option `pruner` is hyperband or asha. Conditions by define-by-run."""

from __future__ import annotations

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from benchmarks.fidelity.adapters._serve import REDUCTION, Problem, Progress, serve
from benchmarks.optimizers.adapters.optuna import suggested
from benchmarks.optimizers.spaces import Config


class Optuna:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._study = optuna.create_study(sampler=TPESampler(seed=problem.seed), pruner=_pruner(problem))

    def ask(self) -> tuple[Trial, Config, int]:
        trial = self._study.ask()
        return trial, suggested(trial, self._problem.space), self._problem.epochs

    def report(self, trial: Trial, progress: Progress) -> bool:
        assert progress.values is not None
        trial.report(progress.values[0], progress.epoch)
        return not trial.should_prune()

    def tell(self, trial: Trial, progress: Progress) -> None:
        if progress.values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif progress.epoch < self._problem.epochs:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, progress.values[0])


def _pruner(problem: Problem) -> BasePruner:
    if problem.options["pruner"] == "hyperband":
        return HyperbandPruner(1, problem.epochs, REDUCTION)
    return SuccessiveHalvingPruner(1, REDUCTION)


if __name__ == "__main__":
    serve(Optuna, "optuna")
