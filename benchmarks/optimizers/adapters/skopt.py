"""scikit-optimize's Optimizer with its defaults (a GP and `gp_hedge`). Conditions are flattened."""

from __future__ import annotations

from typing import Any

from skopt import Optimizer
from skopt.space import Categorical, Integer, Real

from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, plain, serve
from benchmarks.optimizers.spaces import Config, Parameter

_FITTED_AT = (
    10,
    50,
    100,
    200,
    500,
    1000,
)  # observations given from outside are fitted only when one of these is reached


class Skopt:
    """Pending points are told the least value seen, on a copy: `constant liar`, its own strategy for batches."""

    def __init__(self, problem: Problem) -> None:
        self._names = problem.space.names
        self._penalty = Penalty(problem.objectives)
        self._pending: list[Any] = []
        self._optimizer = Optimizer([_declared(p) for p in problem.space], random_state=problem.seed, n_jobs=1)

    def ask(self) -> tuple[Any, Config]:
        point = self._with_lies().ask()
        self._pending.append(point)
        return point, {name: plain(value) for name, value in zip(self._names, point, strict=True)}

    def tell(self, point: Any, config: Config, result: Result) -> None:
        self._pending.remove(point)
        self._optimizer.tell(point, self._penalty.values(result)[0])

    def add(self, config: Config, result: Result) -> None:
        due = len(self._optimizer.yi) + 1 in _FITTED_AT
        point = [config[name] for name in self._names]
        self._optimizer.tell(point, self._penalty.values(result)[0], fit=due)

    def _with_lies(self) -> Any:
        if not self._pending or not self._optimizer.Xi:
            return self._optimizer
        copy = self._optimizer.copy(random_state=self._optimizer.rng.randint(2**31 - 1))
        lie = min(self._optimizer.yi)
        for i, point in enumerate(self._pending, start=1):
            copy.tell(point, lie, fit=i == len(self._pending))
        return copy


def _declared(parameter: Parameter) -> Any:
    if parameter.kind == "choice":
        return Categorical(list(parameter.options), name=parameter.name)
    prior = "log-uniform" if parameter.log else "uniform"
    if parameter.kind == "int":
        return Integer(int(parameter.low), int(parameter.high), prior=prior, name=parameter.name)
    return Real(parameter.low, parameter.high, prior=prior, name=parameter.name)


if __name__ == "__main__":
    serve(Skopt, "scikit-optimize")
