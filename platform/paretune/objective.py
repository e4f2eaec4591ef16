"""What a study is after. Algorithms always minimise: this is the one place where a sign is flipped.

Legend: n observations, m objectives, o outcomes: the objectives and then one for each bound of a metric that is
limited without being an objective; Y_nm and Y_no hold minimised values, one row per observation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from paretune.errors import ObjectiveError, nearest

Goal = Literal["minimize", "maximize"]
_GOALS: tuple[str, ...] = get_args(Goal)
_KEYS = ("goal", "reference", "limit", "standard_error")
_SIDES = ("min", "max")


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to minimise or maximise.

    `reference` is the worst value still of interest (the hypervolume's reference point); `limit` is an outcome
    constraint: a configuration beyond it is infeasible. Both are in the metric's own units and direction.
    `standard_error` names another metric that is reported with it: the standard deviation of this one's error, as far
    as it is known, in its units.
    """

    name: str
    goal: Goal
    reference: float | None = None
    limit: float | None = None
    standard_error: str | None = None

    def __post_init__(self) -> None:
        if self.goal not in _GOALS:
            raise ObjectiveError(
                f"{self.name}: goal must be minimize or maximize, got {self.goal!r}",
                hint=nearest(self.goal, _GOALS) if self.goal else f"{{{self.name}: minimize}}",
            )
        _finite(self, ("reference", "limit"))
        if self.standard_error is not None and (not isinstance(self.standard_error, str) or not self.standard_error):
            raise ObjectiveError(
                f"{self.name}: standard_error must be the name of a reported metric, got {self.standard_error!r}",
                hint=f"{{{self.name}: {{goal: {self.goal}, standard_error: {self.name}_se}}}}",
            )

    @property
    def sign(self) -> float:
        """+1 when the metric is minimised, -1 when it is maximised."""
        return 1.0 if self.goal == "minimize" else -1.0

    def reaches(self, value: float, target: float) -> bool:
        """Whether a value is as good as the target, or better."""
        return self.sign * value <= self.sign * target

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Its limit, if it has one."""
        return () if self.limit is None else (Bound(self.name, self.sign, self.limit),)


@dataclass(frozen=True, slots=True)
class Limit:
    """An outcome constraint on a metric that is no objective: at least `min`, at most `max`, in its own units."""

    name: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ObjectiveError(
                f"{self.name}: a limit needs min, max or both, got neither", hint=f"limits: {{{self.name}: {{max: 5}}}}"
            )
        _finite(self, _SIDES)
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ObjectiveError(f"{self.name}: min must not be above max, got {self.min:g} and {self.max:g}")

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """A bound for each side that is limited."""
        sides = ((-1.0, self.min), (1.0, self.max))
        return tuple(Bound(self.name, sign, limit) for sign, limit in sides if limit is not None)


@dataclass(frozen=True, slots=True)
class Bound:
    """One side of a limit: at most `limit` where `sign` is +1, at least `limit` where it is -1."""

    name: str
    sign: float
    limit: float

    def keeps(self, value: float) -> bool:
        return self.sign * value <= self.sign * self.limit

    def __str__(self) -> str:
        return f"{self.name} {'<=' if self.sign > 0 else '>='} {self.limit:g}"


class Objectives(Sequence[Objective]):
    """The objectives of a study, in the order given, and the limits on other metrics."""

    def __init__(self, objectives: Sequence[Objective], limits: Sequence[Limit] = ()) -> None:
        if not objectives:
            raise ObjectiveError("a study needs at least one objective", hint="objectives: {val_error: minimize}")
        self._objectives, self._limited = tuple(objectives), tuple(limits)
        for i, objective in enumerate(self._objectives):
            if any(objective.name == other.name for other in self._objectives[:i]):
                raise ObjectiveError(f"{objective.name}: stands twice among the objectives")
        for i, limit in enumerate(self._limited):
            if limit.name in self.names:
                raise ObjectiveError(
                    f"limits: {limit.name}: is an objective, which has a limit of its own",
                    hint=f"objectives: {{{limit.name}: {{goal: ..., limit: ...}}}}",
                )
            if any(limit.name == other.name for other in self._limited[:i]):
                raise ObjectiveError(f"limits: {limit.name}: stands twice")
        for objective in self._objectives:
            if objective.standard_error in self.names:
                raise ObjectiveError(
                    f"{objective.name}: standard_error: {objective.standard_error} is an objective",
                    hint="name a metric that holds nothing but the standard error",
                )
        self._others = tuple(bound for limit in self._limited for bound in limit.bounds)
        signs = [*(objective.sign for objective in self._objectives), *(bound.sign for bound in self._others)]
        self._signs_o: npt.NDArray[np.float64] = np.array(signs)
        self._signs_m = self._signs_o[: len(self._objectives)]

    def __getitem__(self, index: Any) -> Any:
        return self._objectives[index]

    def __iter__(self) -> Iterator[Objective]:
        return iter(self._objectives)

    def __len__(self) -> int:
        return len(self._objectives)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objectives) and (self._objectives, self._limited) == (
            other._objectives,
            other._limited,
        )

    def __hash__(self) -> int:
        return hash((self._objectives, self._limited))

    def __repr__(self) -> str:
        return f"Objectives({list(self._objectives)!r}, {list(self._limited)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that are objectives."""
        return tuple(objective.name for objective in self)

    @property
    def limited(self) -> tuple[Limit, ...]:
        """The limits on metrics that are no objectives."""
        return self._limited

    @property
    def required(self) -> tuple[str, ...]:
        """Every metric that a result must have: the objectives, their standard errors, the other ones under a limit."""
        limited = (limit.name for limit in self._limited)
        return tuple(dict.fromkeys([*self.names, *self.standard_errors, *limited]))

    @property
    def standard_errors(self) -> tuple[str, ...]:
        """The metrics that are standard errors of objectives."""
        return tuple(o.standard_error for o in self if o.standard_error is not None)

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """The metric of each outcome; one that is bounded on both sides stands twice. Length o."""
        return (*self.names, *(bound.name for bound in self._others))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Every limit, of objectives and of other metrics, side by side."""
        return (*(bound for objective in self._objectives for bound in objective.bounds), *self._others)

    def missing(self, metrics: Mapping[str, object]) -> list[str]:
        """What is required and `metrics` does not have."""
        return [name for name in self.required if name not in metrics]

    def negative(self, metrics: Mapping[str, float]) -> str | None:
        """What is wrong with the standard errors: none may be below zero."""
        below = [f"{name} is {metrics[name]:g}" for name in self.standard_errors if metrics[name] < 0]
        return f"a standard error must not be negative, {below[0]}" if below else None

    @property
    def signs(self) -> list[float]:
        """1 for each outcome that is minimised, -1 for the others; shape (o,)."""
        return list(self._signs_o.tolist())

    def minimized(self, metrics: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """The objectives' values turned so that less is better; shape (m,)."""
        return np.asarray(self._signs_m * np.array([metrics[name] for name in self.names], dtype=np.float64))

    def outcomes(self, metrics: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """All that a model has to know, less is better: the objectives, then the limited metrics; shape (o,)."""
        return np.asarray(self._signs_o * np.array([metrics[name] for name in self.outcome_names], dtype=np.float64))

    def errors(self, metrics: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """The standard errors of all outcomes, 0 where none is known; shape (o,)."""
        known = [0.0 if o.standard_error is None else metrics[o.standard_error] for o in self]
        return np.array([*known, *(0.0 for _ in self._others)])

    def natural(self, y: npt.ArrayLike) -> dict[str, float]:
        """Minimised values of the objectives (m,), or of all outcomes (o,), back in the metrics' own direction."""
        values = np.asarray(y, dtype=np.float64)
        names = self.outcome_names[: len(values)]
        return dict(zip(names, (self._signs_o[: len(values)] * values).tolist(), strict=True))

    def reference_point(self) -> npt.NDArray[np.float64]:
        """The minimised reference, shape (m,); NaN where none was given."""
        return np.asarray(self._signs_m * np.array([math.nan if o.reference is None else o.reference for o in self]))

    def limits(self) -> npt.NDArray[np.float64]:
        """The minimised upper bounds of the outcomes, shape (o,); infinite where none was given."""
        own = [math.inf if o.limit is None else o.sign * o.limit for o in self]
        return np.array([*own, *(bound.sign * bound.limit for bound in self._others)])

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every limit is kept."""
        return bool(np.all(self.outcomes(metrics) <= self.limits()))

    def broken(self, metrics: Mapping[str, float]) -> list[str]:
        """The limits that are not kept, and by what: `latency_ms 7.2, not <= 5`."""
        return [
            f"{bound.name} {metrics[bound.name]:.4g}, not {str(bound).removeprefix(f'{bound.name} ')}"
            for bound in self.bounds
            if bound.name in metrics and not bound.keeps(metrics[bound.name])
        ]

    def to_dict(self) -> dict[str, Any]:
        """The objectives as plain data: what a spec file holds under `objectives:`."""
        return {o.name: _to_dict(o) for o in self}

    def limited_to_dict(self) -> dict[str, dict[str, float]]:
        """The other metrics' limits as plain data: what a spec file holds under `limits:`."""
        sides = ((limit, side, getattr(limit, side)) for limit in self._limited for side in _SIDES)
        data: dict[str, dict[str, float]] = {limit.name: {} for limit in self._limited}
        for limit, side, value in sides:
            if value is not None:
                data[limit.name][side] = value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, object], limits: Mapping[str, object] | None = None) -> Objectives:
        """Build from `{name: "minimize"}` or `{name: {goal: ..., reference: ..., limit: ..., standard_error: ...}}`.

        `limits` are those of other metrics: `{name: {min: ..., max: ...}}`.
        """
        if not isinstance(data, Mapping):
            raise ObjectiveError(
                f"objectives must map a metric to its goal, got {data!r}",
                hint="objectives: {val_error: minimize}",
            )
        return cls([_from_dict(name, entry) for name, entry in data.items()], _limits_from(limits or {}))

    def with_limits(self, limits: Mapping[str, object] | None) -> Objectives:
        """These objectives, with limits on other metrics beside those they have."""
        return Objectives(self._objectives, [*self._limited, *_limits_from(limits or {})]) if limits else self


def _to_dict(objective: Objective) -> str | dict[str, Any]:
    fields = {key: value for key in _KEYS if (value := getattr(objective, key)) is not None}
    return fields if len(fields) > 1 else objective.goal


def _from_dict(name: object, entry: object) -> Objective:
    if not isinstance(name, str) or not name:
        raise ObjectiveError(f"an objective's name must be a non-empty string, got {name!r}")
    if isinstance(entry, Objective):
        if entry.name != name:
            raise ObjectiveError(f"{name}: holds an objective called {entry.name!r}", hint=f"call both {entry.name!r}")
        return entry
    if not isinstance(entry, Mapping):
        return Objective(name, entry)  # type: ignore[arg-type]  # a wrong goal is refused there
    for key in entry:
        if key not in _KEYS:
            raise ObjectiveError(f"{name}: unknown key {key!r}", hint=nearest(key, _KEYS))
    return Objective(name, entry.get("goal"), *(entry.get(key) for key in _KEYS[1:]))  # type: ignore[arg-type]


def _limits_from(data: Mapping[str, object]) -> list[Limit]:
    if not isinstance(data, Mapping):
        raise ObjectiveError(f"limits must map a metric to its limit, got {data!r}", hint="limits: {size_mb: {max: 5}}")
    return [_limit_from(name, entry) for name, entry in data.items()]


def _limit_from(name: object, entry: object) -> Limit:
    if not isinstance(name, str) or not name:
        raise ObjectiveError(f"limits: a metric's name must be a non-empty string, got {name!r}")
    if isinstance(entry, Limit):
        if entry.name != name:
            raise ObjectiveError(f"limits: {name}: holds a limit of {entry.name!r}", hint=f"call both {entry.name!r}")
        return entry
    if not isinstance(entry, Mapping):
        raise ObjectiveError(
            f"limits: {name}: must have min, max or both, got {entry!r}", hint=f"limits: {{{name}: {{max: 5}}}}"
        )
    for key in entry:
        if key not in _SIDES:
            raise ObjectiveError(f"limits: {name}: unknown key {key!r}", hint=nearest(key, _SIDES))
    try:
        return Limit(name, entry.get("min"), entry.get("max"))
    except ObjectiveError as error:
        raise error.located("limits") from None


def _finite(entry: Objective | Limit, fields: Sequence[str]) -> None:
    """Make what was given in these fields floats; anything but a finite number is refused."""
    for field in fields:
        value = getattr(entry, field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ObjectiveError(f"{entry.name}: {field} must be a finite number, got {value!r}")
        object.__setattr__(entry, field, float(value))
