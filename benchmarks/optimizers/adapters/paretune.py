"""paretune through `paretune.Optimizer`.

Options: `algorithm` (gp); `transfer=true` learns from a task's earlier studies; `limits=false` and `inputs=false` leave
outcome limits and input constraints unsaid. All others are the algorithm's settings.
"""

from __future__ import annotations

from typing import Any

import paretune as pt
from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config, Limit, Parameter
from paretune.records import Suggestion


class Paretune:
    def __init__(self, problem: Problem) -> None:
        self._names = [f"y{i}" for i in range(problem.objectives)]
        self._space = {parameter.name: declared(parameter) for parameter in problem.space}
        settings = dict(problem.options)
        name = settings.pop("algorithm", "gp")
        asked: dict[str, Any] = {}  # of the features that a task needs, and no others: older versions lack them
        if settings.pop("transfer", False) and problem.earlier:
            asked["warm_start"] = [self._earlier(study) for study in problem.earlier]
        if settings.pop("limits", True) and problem.limits:
            asked["limits"] = {metric: {"max": upper} for metric, upper in problem.limits.items()}
        if settings.pop("inputs", True) and problem.inputs:
            asked["constraints"] = [_text(limit) for limit in problem.inputs]
        algorithm: Any = {"name": name, **settings} if settings else name
        self._optimizer = pt.Optimizer(self._space, self._goals, algorithm=algorithm, seed=problem.seed, **asked)

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

    @property
    def _goals(self) -> Any:
        return dict.fromkeys(self._names, "minimize")

    def _earlier(self, study: dict[str, Any]) -> pt.Optimizer:
        made = pt.Optimizer(self._space, self._goals, algorithm="random")
        for config, values in zip(study["configs"], study["values"], strict=True):
            made.add(config, dict(zip(self._names, values, strict=True)))
        return made

    def _metrics(self, result: Result) -> dict[str, float]:
        if result.values is None:
            return {}
        return {**dict(zip(self._names, result.values, strict=True)), **result.metrics}


def _status(result: Result) -> Any:
    return "failed" if result.values is None else None


def _text(limit: Limit) -> str:
    """The constraint as paretune reads it: `a * b <= 4096`."""
    if limit.kind == "product":
        return f"{' * '.join(name for name, _ in limit.weights)} <= {limit.upper}"
    return f"{' + '.join(f'{weight} * {name}' for name, weight in limit.weights)} <= {limit.upper}"


def declared(parameter: Parameter) -> pt.Float | pt.Int | pt.Choice:
    when: Any = {} if parameter.when is None else {parameter.when[0]: list(parameter.when[1])}
    if parameter.kind == "choice":
        return pt.Choice(list(parameter.options), when=when)
    if parameter.kind == "int":
        return pt.Int(int(parameter.low), int(parameter.high), log=parameter.log, when=when)
    return pt.Float(parameter.low, parameter.high, log=parameter.log, when=when)


if __name__ == "__main__":
    serve(Paretune, "paretune")  # its version; the harness adds the checkout's commit
