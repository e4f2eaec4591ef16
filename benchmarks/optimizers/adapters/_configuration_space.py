"""A space as ConfigSpace declares it, which SMAC and DEHB search."""

from __future__ import annotations

from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    InCondition,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from benchmarks.optimizers.spaces import Parameter, Space


def configuration_space(space: Space, seed: int) -> ConfigurationSpace:
    """The space with its conditions; what is sampled from it follows from the seed."""
    made = ConfigurationSpace(seed=seed)
    known = {parameter.name: _declared(parameter) for parameter in space}
    made.add(list(known.values()))
    for parameter in space:
        if parameter.when is not None:
            made.add(InCondition(known[parameter.name], known[parameter.when[0]], list(parameter.when[1])))
    return made


def _declared(parameter: Parameter) -> Any:
    if parameter.kind == "choice":
        return CategoricalHyperparameter(parameter.name, list(parameter.options))
    if parameter.kind == "int":
        return UniformIntegerHyperparameter(parameter.name, int(parameter.low), int(parameter.high), log=parameter.log)
    return UniformFloatHyperparameter(parameter.name, parameter.low, parameter.high, log=parameter.log)
