"""Syne Tune, stopping: option `scheduler` is asha, bohb, asha-cqr or asha-bore; of several objectives moasha.

Conditions are flattened; what diverges is told as the worst value seen. All are as of 0.16, which has no promotion.
"""

from __future__ import annotations

import datetime
from typing import Any

import torch
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import ASHA, ASHABORE, ASHACQR, BOHB
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

from benchmarks.fidelity.adapters._serve import REDUCTION, Problem, Progress, serve
from benchmarks.optimizers.adapters._serve import Penalty
from benchmarks.optimizers.adapters.syne_tune import declared, within
from benchmarks.optimizers.spaces import Config

torch.set_num_threads(1)

_SCHEDULERS = {"asha": ASHA, "bohb": BOHB, "asha-cqr": ASHACQR, "asha-bore": ASHABORE}


class SyneTune:
    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(problem.seed)
        self._space, self._epochs, self._trials = problem.space, problem.epochs, 0
        self._names = [f"y{i}" for i in range(problem.objectives)]
        self._penalty = Penalty(problem.objectives)
        known = {parameter.name: declared(parameter) for parameter in problem.space}
        common = {
            "time_attr": "epoch",
            "max_t": problem.epochs,
            "reduction_factor": REDUCTION,
            "random_seed": problem.seed,
        }
        if problem.options["scheduler"] == "moasha":
            self._scheduler: Any = MOASHA(known, metrics=self._names, **common)
        else:
            self._scheduler = _SCHEDULERS[problem.options["scheduler"]](known, metric=self._names[0], **common)

    def ask(self) -> tuple[Trial, Config, int]:
        config = self._scheduler.suggest().config
        trial = Trial(trial_id=self._trials, config=config, creation_time=datetime.datetime.now())
        self._trials += 1
        self._scheduler.on_trial_add(trial)
        return trial, within(self._space, config), self._epochs

    def report(self, trial: Trial, progress: Progress) -> bool:
        values = self._penalty.values(progress)
        told = {"epoch": progress.epoch, **dict(zip(self._names, values, strict=True))}
        return bool(self._scheduler.on_trial_result(trial, told) == "CONTINUE")

    def tell(self, trial: Trial, progress: Progress) -> None:
        if progress.values is None:  # of all else it knows the last report
            self.report(trial, progress)


if __name__ == "__main__":
    serve(SyneTune, "syne-tune")
