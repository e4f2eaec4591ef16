"""HEBO (Cowen-Rivers et al., 2022). It knows neither pending trials nor conditions, limits or failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from benchmarks.optimizers.adapters._serve import Penalty, Problem, Result, plain, serve
from benchmarks.optimizers.spaces import Config, Parameter

torch.set_num_threads(1)

_KINDS = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}


class Hebo:
    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(problem.seed)
        space = DesignSpace().parse([_declared(parameter) for parameter in problem.space])
        self._optimizer = HEBO(space, scramble_seed=problem.seed)
        self._penalty = Penalty(problem.objectives)

    def ask(self) -> tuple[pd.DataFrame, Config]:
        rows = self._optimizer.suggest(n_suggestions=1)
        return rows, {str(name): plain(value) for name, value in rows.iloc[0].to_dict().items()}

    def tell(self, rows: pd.DataFrame, config: Config, result: Result) -> None:
        self._optimizer.observe(rows, np.array([self._penalty.values(result)]))

    def add(self, config: Config, result: Result) -> None:
        self.tell(pd.DataFrame([config]), config, result)


def _declared(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind == "choice":
        return {"name": parameter.name, "type": "cat", "categories": list(parameter.options)}
    kind = _KINDS[parameter.kind, parameter.log]
    base = {"base": 10} if parameter.log else {}
    return {"name": parameter.name, "type": kind, "lb": parameter.low, "ub": parameter.high, **base}


if __name__ == "__main__":
    serve(Hebo, "HEBO")
