"""OSS Vizier's default algorithm (GP-UCB-PE), its designer called without the service.

Conditions are flattened, as the designer refuses them; what failed is told as infeasible, what breaks a limit as the
worst value seen.
"""

from __future__ import annotations

from typing import Any

import jax
from vizier import algorithms, pyvizier
from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit

from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, serve
from benchmarks.optimizers.spaces import Config, Parameter

jax.config.update("jax_enable_x64", True)  # as its service does; in single precision its suggestions become NaN


class Vizier:
    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._penalty = Penalty(problem.objectives)
        self._names = [f"y{i}" for i in range(problem.objectives)]
        statement = pyvizier.ProblemStatement()
        for parameter in problem.space:
            _declare(statement.search_space.root, parameter)
        for name in self._names:
            goal = pyvizier.ObjectiveMetricGoal.MINIMIZE
            statement.metric_information.append(pyvizier.MetricInformation(name=name, goal=goal))
        self._designer = VizierGPUCBPEBandit(statement, rng=jax.random.PRNGKey(problem.seed))
        self._trials = 0
        self._pending: dict[int, Any] = {}
        self._ended: list[Any] = []

    def ask(self) -> tuple[Any, Config]:
        pending = list(self._pending.values())
        self._designer.update(algorithms.CompletedTrials(self._ended), algorithms.ActiveTrials(pending))
        self._ended = []
        self._trials += 1
        trial = self._designer.suggest(1)[0].to_trial(self._trials)
        self._pending[trial.id] = trial
        return trial, {parameter.name: _value(trial, parameter) for parameter in self._space}

    def tell(self, trial: Any, config: Config, result: Result) -> None:
        del self._pending[trial.id]
        self._end(trial, result)

    def add(self, config: Config, result: Result) -> None:
        self._trials += 1
        self._end(pyvizier.Trial(id=self._trials, parameters=config), result)

    def _end(self, trial: Any, result: Result) -> None:
        values = dict(zip(self._names, self._penalty.values(result), strict=True))
        if result.values is None:
            ended = trial.complete(pyvizier.Measurement(), infeasibility_reason="failed")
        else:
            ended = trial.complete(pyvizier.Measurement(metrics=values))
        self._ended.append(ended)


def _declare(root: Any, parameter: Parameter) -> None:
    scale = pyvizier.ScaleType.LOG if parameter.log else pyvizier.ScaleType.LINEAR
    if parameter.kind == "choice":
        root.add_categorical_param(parameter.name, [str(option) for option in parameter.options])
    elif parameter.kind == "int":
        root.add_int_param(parameter.name, int(parameter.low), int(parameter.high), scale_type=scale)
    else:
        root.add_float_param(parameter.name, parameter.low, parameter.high, scale_type=scale)


def _value(trial: Any, parameter: Parameter) -> Any:
    value = trial.parameters[parameter.name].value
    if parameter.kind == "choice":
        return {str(option): option for option in parameter.options}[value]
    return int(value) if parameter.kind == "int" else value


if __name__ == "__main__":
    serve(Vizier, "google-vizier")
