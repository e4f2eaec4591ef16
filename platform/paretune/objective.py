"""What a study is after. Algorithms always minimise: this is the one place where a sign is flipped.

Legend: n observations, m objectives; Y_nm holds minimised values, one row per observation.
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
_KEYS = ("goal", "reference", "limit")


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to minimise or maximise.

    `reference` is the worst value still of interest (the hypervolume's reference point); `limit` is an outcome
    constraint: a configuration beyond it is infeasible. Both are in the metric's own units and direction.
    """

    name: str
    goal: Goal
    reference: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.goal not in _GOALS:
            raise ObjectiveError(
                f"{self.name}: goal must be minimize or maximize, got {self.goal!r}",
                hint=nearest(self.goal, _GOALS) if self.goal else f"{{{self.name}: minimize}}",
            )
        for field in ("reference", "limit"):
            value = getattr(self, field)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ObjectiveError(f"{self.name}: {field} must be a finite number, got {value!r}")
            object.__setattr__(self, field, float(value))

    @property
    def sign(self) -> float:
        """+1 when the metric is minimised, -1 when it is maximised."""
        return 1.0 if self.goal == "minimize" else -1.0


class Objectives(Sequence[Objective]):
    """The objectives of a study, in the order given."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        if not objectives:
            raise ObjectiveError("a study needs at least one objective", hint="objectives: {val_error: minimize}")
        self._objectives = tuple(objectives)
        for i, objective in enumerate(self._objectives):
            if any(objective.name == other.name for other in self._objectives[:i]):
                raise ObjectiveError(f"{objective.name}: stands twice among the objectives")
        self._signs_m: npt.NDArray[np.float64] = np.array([objective.sign for objective in self._objectives])

    def __getitem__(self, index: Any) -> Any:
        return self._objectives[index]

    def __iter__(self) -> Iterator[Objective]:
        return iter(self._objectives)

    def __len__(self) -> int:
        return len(self._objectives)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objectives) and self._objectives == other._objectives

    def __hash__(self) -> int:
        return hash(self._objectives)

    def __repr__(self) -> str:
        return f"Objectives({list(self._objectives)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(objective.name for objective in self)

    def missing(self, metrics: Mapping[str, object]) -> list[str]:
        """The objectives that `metrics` does not have."""
        return [name for name in self.names if name not in metrics]

    def minimized(self, metrics: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """The objectives' values turned so that less is better; shape (m,)."""
        return np.asarray(self._signs_m * np.array([metrics[name] for name in self.names], dtype=np.float64))

    def natural(self, y_m: npt.ArrayLike) -> dict[str, float]:
        """Minimised values, shape (m,), back in the metrics' own direction."""
        values = self._signs_m * np.asarray(y_m, dtype=np.float64)
        return dict(zip(self.names, values.tolist(), strict=True))

    def reference_point(self) -> npt.NDArray[np.float64]:
        """The minimised reference, shape (m,); NaN where none was given."""
        return np.asarray(self._signs_m * np.array([math.nan if o.reference is None else o.reference for o in self]))

    def limits(self) -> npt.NDArray[np.float64]:
        """The minimised upper bounds, shape (m,); infinite where none was given."""
        return np.array([math.inf if o.limit is None else o.sign * o.limit for o in self])

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every limit is kept."""
        return bool(np.all(self.minimized(metrics) <= self.limits()))

    def to_dict(self) -> dict[str, Any]:
        """The objectives as plain data: what a spec file holds under `objectives:`."""
        return {o.name: _to_dict(o) for o in self}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Objectives:
        """Build from `{name: "minimize"}` or `{name: {goal: ..., reference: ..., limit: ...}}`."""
        if not isinstance(data, Mapping):
            raise ObjectiveError(
                f"objectives must map a metric to its goal, got {data!r}",
                hint="objectives: {val_error: minimize}",
            )
        return cls([_from_dict(name, entry) for name, entry in data.items()])


def _to_dict(objective: Objective) -> str | dict[str, Any]:
    if objective.reference is None and objective.limit is None:
        return objective.goal
    fields = {key: getattr(objective, key) for key in _KEYS}
    return {key: value for key, value in fields.items() if value is not None}


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
    return Objective(name, entry.get("goal"), entry.get("reference"), entry.get("limit"))  # type: ignore[arg-type]
