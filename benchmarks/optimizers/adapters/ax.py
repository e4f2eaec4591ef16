"""Ax's Client with its default generation strategy; limits as outcome constraints, sums as parameter constraints."""

from __future__ import annotations

import logging
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config, Parameter

logging.disable(logging.WARNING)


class Ax:
    """Conditions are flattened, which is what its own hierarchical spaces do by default; those know no ints as parents.

    The values of inactive parameters are ignored by the harness.
    """

    def __init__(self, problem: Problem) -> None:
        self._client = Client(random_seed=problem.seed)
        sums = [limit for limit in problem.inputs if limit.kind == "sum"]
        self._client.configure_experiment(
            parameters=[_declared(parameter) for parameter in problem.space],
            parameter_constraints=[
                " + ".join(f"{weight} * {name}" for name, weight in limit.weights) + f" <= {limit.upper}"
                for limit in sums
            ],
        )
        self._client.configure_optimization(
            objective=", ".join(f"-y{i}" for i in range(problem.objectives)),
            outcome_constraints=[f"{name} <= {upper}" for name, upper in problem.limits.items()],
        )
        self._client.configure_generation_strategy(
            method="fast",
            initialization_random_seed=problem.seed,
            allow_exceeding_initialization_budget=problem.pending > 1,
        )

    def ask(self) -> tuple[int, Config]:
        ((number, config),) = self._client.get_next_trials(max_trials=1).items()
        return number, dict(config)

    def tell(self, number: int, config: Config, result: Result) -> None:
        if result.values is None:
            self._client.mark_trial_failed(trial_index=number)
            return
        data = {f"y{i}": value for i, value in enumerate(result.values)} | dict(result.metrics)
        self._client.complete_trial(trial_index=number, raw_data=data)

    def add(self, config: Config, result: Result) -> None:
        self.tell(self._client.attach_trial(parameters=config), config, result)


def _declared(parameter: Parameter) -> Any:
    if parameter.kind == "choice":
        kind = "str" if isinstance(parameter.options[0], str) else "int"
        values = list(parameter.options)
        return ChoiceParameterConfig(name=parameter.name, values=values, parameter_type=kind, is_ordered=False)
    low, high = (
        (int(parameter.low), int(parameter.high)) if parameter.kind == "int" else (parameter.low, parameter.high)
    )
    scaling = "log" if parameter.log else "linear"
    return RangeParameterConfig(name=parameter.name, bounds=(low, high), parameter_type=parameter.kind, scaling=scaling)


if __name__ == "__main__":
    serve(Ax, "ax-platform")
