"""Parameters <-> Optuna's distributions."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from paretune.errors import SpaceError
from paretune.parameters import Choice, Float, Int, Parameter


def distribution(parameter: Parameter) -> BaseDistribution:
    """The distribution that holds the same values; powers of two become a categorical, as Optuna has none."""
    if isinstance(parameter, Float):
        last = parameter.high if parameter.step is None else parameter.from_unit(1.0)  # Optuna wants it on the grid
        return FloatDistribution(parameter.low, last, log=parameter.log, step=parameter.step)
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.options)
    if parameter.step == "power2":
        return CategoricalDistribution(tuple(parameter.values))
    return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def parameter(distribution: BaseDistribution) -> Parameter:
    """The parameter that holds the same values."""
    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, IntDistribution):
        return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, CategoricalDistribution):
        return Choice(tuple(distribution.choices))
    raise SpaceError(f"no parameter corresponds to Optuna's {type(distribution).__name__}")
