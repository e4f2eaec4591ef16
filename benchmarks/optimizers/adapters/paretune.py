"""paretune through `paretune.Optimizer`: option `algorithm` (gp); further options are the algorithm's settings."""

from __future__ import annotations

from typing import Any

import paretune as pt
from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config, Parameter
from paretune.records import Suggestion


class Paretune:
    def __init__(self, problem: Problem) -> None:
        self._names = [f"y{i}" for i in range(problem.objectives)]
        settings = dict(problem.options)
        name = settings.pop("algorithm", "gp")
        algorithm: Any = {"name": name, **settings} if settings else name
        objectives = dict.fromkeys(self._names, "minimize")
        space = {parameter.name: _declared(parameter) for parameter in problem.space}
        self._optimizer = pt.Optimizer(space, objectives, algorithm=algorithm, seed=problem.seed)

    def ask(self) -> tuple[Suggestion, Config]:
        suggestion = self._optimizer.ask()
        return suggestion, dict(suggestion.config)

    def tell(self, suggestion: Suggestion, config: Config, result: Result) -> None:
        self._optimizer.tell(suggestion, self._metrics(result), status=_status(result))

    def add(self, config: Config, result: Result) -> None:
        self._optimizer.add(config, self._metrics(result), status=_status(result))

    def choose(self) -> Suggestion:
        """What paretune itself would recommend now."""
        return self._optimizer.best().suggestion

    def _metrics(self, result: Result) -> dict[str, float]:
        if result.values is None:
            return {}
        return {**dict(zip(self._names, result.values, strict=True)), **result.metrics}


def _status(result: Result) -> Any:
    return "failed" if result.values is None else None


def _declared(parameter: Parameter) -> pt.Float | pt.Int | pt.Choice:
    when: Any = {} if parameter.when is None else {parameter.when[0]: list(parameter.when[1])}
    if parameter.kind == "choice":
        return pt.Choice(list(parameter.options), when=when)
    if parameter.kind == "int":
        return pt.Int(int(parameter.low), int(parameter.high), log=parameter.log, when=when)
    return pt.Float(parameter.low, parameter.high, log=parameter.log, when=when)


if __name__ == "__main__":
    serve(Paretune, "paretune")  # its version; the harness adds the checkout's commit
