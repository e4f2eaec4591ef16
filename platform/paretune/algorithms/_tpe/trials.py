"""A history as an Optuna study of coordinates in the unit cube.

Optuna sees numbers only: continuous parameters (and whole numbers on a log scale) as floats in [0, 1], ordered values
by their place, unordered options by their number. So its study knows nothing of types, and True, 1 and 1.0 stay apart.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from paretune.algorithms._outcomes import Outcomes
from paretune.space import Choice, Config, Int, Parameter, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The distribution of every parameter that has more than one value."""
    return {name: _distribution(parameter) for name, parameter in space.items() if parameter.cardinality > 1}


def to_unit(value: float, distribution: BaseDistribution) -> float:
    """The coordinate of a value that Optuna drew; the middle of its bin where it is discrete."""
    if isinstance(distribution, FloatDistribution):
        return value
    return (value + 0.5) / _size(distribution)


@contextmanager
def quiet() -> Iterator[None]:
    """Let Optuna neither warn that grouping is experimental nor log that it made a study."""
    storages = logging.getLogger("optuna.storages._in_memory")
    level = storages.level
    storages.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        storages.setLevel(level)


def study(
    space: Space, known: Outcomes, pending: Sequence[Config], *, held: Mapping[str, BaseDistribution]
) -> optuna.Study:
    """An Optuna study in memory: results complete, what came to nothing pruned (worse than any), pending ones running.

    Several objectives go in as ranks, because Optuna breaks ties by a hypervolume that extreme values would decide.
    """
    Y_nm = known.Y_nm if known.Y_nm.shape[1] == 1 else known.ranks()
    made = optuna.create_study(directions=["minimize"] * max(1, Y_nm.shape[1]), sampler=optuna.samplers.RandomSampler())
    trials = [
        _trial(space, config, held, TrialState.COMPLETE, values=y_m, miss=miss)
        for config, y_m, miss in zip(known.configs, Y_nm.tolist(), known.violation_n.tolist(), strict=True)
    ]
    trials += [_trial(space, config, held, TrialState.PRUNED) for config in known.lost]
    trials += [_trial(space, config, held, TrialState.RUNNING) for config in pending]
    made.add_trials(trials)
    return made


def _trial(
    space: Space,
    config: Config,
    held: Mapping[str, BaseDistribution],
    state: TrialState,
    *,
    values: list[float] | None = None,
    miss: float = 0.0,
) -> FrozenTrial:
    present = {name: distribution for name, distribution in held.items() if name in config}
    return create_trial(
        state=state,
        values=values,
        params={name: _from_unit(space[name].to_unit(config[name]), held[name]) for name in present},
        distributions=present,
        constraints={"limits": miss},
    )


def _distribution(parameter: Parameter) -> BaseDistribution:
    bins = parameter.cardinality
    if isinstance(parameter, Choice) and not parameter.ordered:
        return CategoricalDistribution(range(int(bins)))
    if math.isinf(bins) or _uneven(parameter):
        return FloatDistribution(0.0, 1.0)
    return IntDistribution(0, int(bins) - 1)


def _uneven(parameter: Parameter) -> bool:
    """Whole numbers on a log scale; powers of two own equal bins."""
    return isinstance(parameter, Int) and parameter.log and parameter.step == 1


def _from_unit(unit: float, distribution: BaseDistribution) -> float:
    if isinstance(distribution, FloatDistribution):
        return min(max(unit, 0.0), 1.0)
    size = _size(distribution)
    return min(math.floor(unit * size), size - 1)


def _size(distribution: BaseDistribution) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return distribution.high + 1
