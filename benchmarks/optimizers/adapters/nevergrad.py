"""Nevergrad's NGOpt (option `optimizer`), which chooses by the problem. Conditions are flattened."""

from __future__ import annotations

from typing import Any

import nevergrad as ng
import numpy as np

from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, plain, serve
from benchmarks.optimizers.spaces import Config, Parameter


class Nevergrad:
    def __init__(self, problem: Problem) -> None:
        self._penalty = Penalty(problem.objectives)
        space = ng.p.Dict(**{parameter.name: _declared(parameter) for parameter in problem.space})
        space.random_state = np.random.RandomState(problem.seed)
        made = ng.optimizers.registry[problem.options.get("optimizer", "NGOpt")]
        self._optimizer = made(parametrization=space, budget=problem.trials, num_workers=problem.pending)

    def ask(self) -> tuple[Any, Config]:
        candidate = self._optimizer.ask()
        return candidate, {name: plain(value) for name, value in candidate.value.items()}

    def tell(self, candidate: Any, config: Config, result: Result) -> None:
        values = self._penalty.values(result)
        self._optimizer.tell(candidate, values if len(values) > 1 else values[0])

    def add(self, config: Config, result: Result) -> None:
        self._optimizer.suggest(config)
        candidate, _ = self.ask()
        self.tell(candidate, config, result)


def _declared(parameter: Parameter) -> Any:
    if parameter.kind == "choice":
        return ng.p.Choice(list(parameter.options))
    made = (ng.p.Log if parameter.log else ng.p.Scalar)(lower=parameter.low, upper=parameter.high)
    return made.set_integer_casting() if parameter.kind == "int" else made


if __name__ == "__main__":
    serve(Nevergrad, "nevergrad")
