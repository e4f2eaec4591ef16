"""What a task is: a function to minimise over a space, with what is known about its optimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.optimizers.spaces import Config, Limit, Space

_NOISE_STREAM = 104729  # keeps the noise apart from other generators seeded with the same numbers


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a configuration gives: minimised objectives (None: the trial fails), and metrics that limits are on."""

    values: tuple[float, ...] | None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A study made before on another task of the same space: its configurations and their values."""

    name: str
    configs: tuple[Config, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One benchmark problem; everything is minimised.

    `function` maps a clean configuration to a number, to m numbers, or to an Outcome. `noise` is the standard deviation
    of what is observed, per objective. `best` is the value at `optimum` (known in closed form, or None: then
    references.json holds the best value found). `reference` is the hypervolume's reference point. `limits` are
    upper bounds on metrics, `inputs` constraints on the configuration itself. `earlier` may help.
    """

    name: str
    space: Space
    function: Callable[[Config], Outcome | Sequence[float] | float]
    objectives: int = 1
    noise: tuple[float, ...] = ()
    trials: int = 60
    best: float | None = None
    optimum: Config | None = None
    reference: tuple[float, ...] = ()
    best_volume: float | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[Limit, ...] = ()
    earlier: tuple[Earlier, ...] = ()

    def evaluate(self, config: Mapping[str, Any]) -> Outcome:
        """The noise-free outcome; raises BadConfigError for a configuration outside the space."""
        clean = self.space.clean(config)
        if not all(limit.kept(clean) for limit in self.inputs):
            return Outcome(None)
        found = self.function(clean)
        if isinstance(found, Outcome):
            return found
        numbers = found if isinstance(found, Sequence) else (found,)
        return Outcome(tuple(float(number) for number in numbers))

    def observe(self, outcome: Outcome, *, seed: int, index: int) -> tuple[float, ...] | None:
        """What the optimizer is told: the values with the noise of the run's `index`-th evaluation."""
        if outcome.values is None or not self.noise:
            return outcome.values
        draws = np.random.default_rng([_NOISE_STREAM, seed, index]).standard_normal(self.objectives)
        return tuple(
            value + sd * float(draw) for value, sd, draw in zip(outcome.values, self.noise, draws, strict=True)
        )

    def feasible(self, outcome: Outcome) -> bool:
        """Whether the trial ended and keeps every limit."""
        return outcome.values is not None and all(outcome.metrics[n] <= upper for n, upper in self.limits.items())
