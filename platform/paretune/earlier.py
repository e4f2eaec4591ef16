"""What of an earlier study carries over to another one: same objectives, other ranges, more or fewer parameters.

    Source                 an earlier study, as far as it was read
    sources                the same from what a user holds
    unfit                  why it teaches nothing about a space and its objectives, if so
    carried                its results, told in the space of the study that learns

Only parameters of the same name carry over. A number keeps its value: what lies outside the new range has a coordinate
outside [0, 1], where a model may well learn from it (to clip it would move a bad value to the bound, to drop it would
leave a narrowed search with nothing), up to a whole range away. An option that is offered no more drops the result.

Legend: d parameters of the space that learns, m of its objectives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from paretune.errors import InputError
from paretune.objective import Objectives
from paretune.parameters import Choice, Config, Parameter, Value, conditions, same
from paretune.records import Observation
from paretune.space import Space

LARGEST = 100
"""Results of one source that are learnt from: their model is fitted once, but asked at every step of every search."""

FEWEST = 3
"""Results below which a source says nothing: two points are in one order or the other."""

_BEYOND = 1.0  # of a range: farther results would stretch the model over what is never searched


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An earlier study to learn from; `observations` are its ended trials."""

    name: str
    space: Space
    objectives: Objectives
    observations: tuple[Observation, ...]


@runtime_checkable
class Earlier(Protocol):
    """Whatever can be told as a source: a study from the store, an optimizer."""

    def source(self) -> Source: ...


Given: TypeAlias = Source | Earlier | tuple[Space, Sequence[Observation]]
"""What an optimizer takes for an earlier study; a pair means its own objectives."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A result in the space that learns.

    `config` has the shared parameters that are present, at their nearest legal values; `places` the exact coordinates
    of the numbers among them; `y_m` the minimised objectives.
    """

    config: dict[str, Value]
    places: Mapping[str, float]
    y_m: npt.NDArray[np.float64]


def unfit(source: Source, space: Space, objectives: Objectives) -> str | None:
    """Why nothing can be learnt from a source, or None when something can."""
    goals = {objective.name: objective.goal for objective in source.objectives}
    for objective in objectives:
        if goals.get(objective.name) != objective.goal:
            found = f"it must {objective.goal} {objective.name}"
            return f"{found}, and it {goals[objective.name]}s it" if objective.name in goals else f"{found} as well"
    if not shared(source.space, space):
        return "it must share a parameter, and has none of the same name and kind"
    if len(carried(source, space, objectives)) < FEWEST:
        return f"it must have {FEWEST} results that lie in or near the space"
    return None


def sources(given: Sequence[Given], space: Space, objectives: Objectives) -> tuple[Source, ...]:
    """Earlier studies as sources, each with a name of its own.

    Raises InputError for what is none, or one that there is nothing to learn from.
    """
    found = _named([_source(entry, number, objectives) for number, entry in enumerate(given)])
    for number, source in enumerate(found):
        why = unfit(source, space, objectives)
        if why is not None:
            raise InputError(f"warm_start: {number} ({source.name}): {why}", hint="leave it out")
    return tuple(found)


def shared(old: Space, new: Space) -> list[str]:
    """The parameters of the same name and kind: both numbers, or choices with an option in common."""
    return [name for name in new if name in old and _alike(old[name], new[name])]


def carried(source: Source, space: Space, objectives: Objectives) -> list[Carried]:
    """The results of a source that carry over, in their order; the best half of LARGEST and a spread of the others."""
    names = shared(source.space, space)
    found = [
        result
        for observation in source.observations
        if observation.status in ("completed", "stopped")
        and all(math.isfinite(observation.metrics.get(name, math.nan)) for name in objectives.names)
        and (result := _carry(observation, names, space, objectives)) is not None
    ]
    return _spread(found)


def place(parameter: Parameter, value: Value) -> float:
    """The coordinate of a number, in [0, 1] within the range and beyond it outside; for a legal one that of `to_unit`.

    Not finite where there is none, as for zero on a logarithmic scale.
    """
    assert not isinstance(parameter, Choice)
    low, high, log = _edges(parameter)
    number = float(value)  # type: ignore[arg-type]
    if not log:
        return (number - low) / (high - low)
    return math.log(number / low) / math.log(high / low) if number > 0 else -math.inf


def _source(given: Given, number: int, objectives: Objectives) -> Source:
    if isinstance(given, Source):
        return given
    if isinstance(given, Earlier):
        return given.source()
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Space):
        return Source(name="given", space=given[0], objectives=objectives, observations=tuple(given[1]))
    raise InputError(
        f"warm_start: {number}: must be a study, an optimizer or a (space, history) pair, got {type(given).__name__}"
    )


def _named(found: Sequence[Source]) -> list[Source]:
    """The sources, with a number after every name but the first of its like."""
    before = [sum(other.name == source.name for other in found[:i]) for i, source in enumerate(found)]
    return [
        replace(source, name=f"{source.name} {count + 1}") if count else source
        for source, count in zip(found, before, strict=True)
    ]


def _alike(a: Parameter, b: Parameter) -> bool:
    if isinstance(a, Choice) and isinstance(b, Choice):
        return any(same(option, other) for option in a.options for other in b.options)
    return isinstance(a, Choice) is isinstance(b, Choice)


def _carry(observation: Observation, names: Sequence[str], space: Space, objectives: Objectives) -> Carried | None:
    """One result, or None when it does not lie in or near the space."""
    config: dict[str, Value] = {}
    places: dict[str, float] = {}
    for name in names:
        if name not in observation.config or not _may_be_there(name, space, config, names):
            continue
        parameter, value = space[name], observation.config[name]
        if isinstance(parameter, Choice):
            if not any(same(value, option) for option in parameter.options):
                return None
            config[name] = value
            continue
        places[name] = place(parameter, value)
        if not -_BEYOND <= places[name] <= 1 + _BEYOND:
            return None
        config[name] = parameter.from_unit(places[name])
    return Carried(config, places, objectives.minimized(observation.metrics))


def _may_be_there(name: str, space: Space, config: Config, names: Sequence[str]) -> bool:
    """Whether the new space's conditions allow a parameter; a parent that does not carry over is no hindrance."""
    return all(
        parent not in names or (parent in config and any(same(config[parent], value) for value in values))
        for parent, values in conditions(space[name]).items()
    )


def _spread(results: list[Carried]) -> list[Carried]:
    if len(results) <= LARGEST:
        return results
    rank_n = rankdata([result.y_m for result in results], axis=0).sum(axis=1)
    order = np.argsort(rank_n, kind="stable")
    half = LARGEST // 2
    others = np.linspace(half, len(order) - 1, LARGEST - half).round().astype(int)
    return [results[i] for i in sorted({*order[:half].tolist(), *order[others].tolist()})]


def _edges(parameter: Parameter) -> tuple[float, float, bool]:
    """The values at coordinates 0 and 1, and whether the way between is logarithmic. A discrete value owns a bin."""
    assert not isinstance(parameter, Choice)
    low, high = float(parameter.low), float(parameter.high)
    if parameter.step == "power2":
        return low / math.sqrt(2), high * math.sqrt(2), True
    if parameter.log:
        half = 0.5 if math.isfinite(parameter.cardinality) else 0.0
        return low - half, high + half, True
    if parameter.step is None:
        return low, high, False
    half = parameter.step / 2
    return low - half, low + (parameter.cardinality - 0.5) * parameter.step, False
