"""The algorithm that fits the problem.

A table of rules, the first that holds decides; `gp` where none does, which is nearly always. The choice follows from
the problem and from how many results there are, so a resumed study makes it again. Every proposal says what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._discovery import create
from paretune.algorithms._settings import Settings
from paretune.parameters import conditions
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import Choice, Space

MANY_OBJECTIVES = 6
"""Beyond these, almost every trial is on the front, and what a model of each objective costs grows with them all."""

MANY_TRIALS = 2000
"""Beyond these, a model of all results is slow; tpe takes .05 s for 500 trials of 5 parameters, .2 s for 40."""

MANY_DIMENSIONS = 100
"""Beyond these, no result of gp has been measured."""

DEEP, DEEP_DIMENSIONS = 3, 30
"""Levels of conditions, and parameters under them, of which any one trial holds few: too few for one model of all."""

MANY_CHOICES, MOSTLY = 15, 0.8
"""Unordered choices, and their share of all parameters: a model over numbers has little to go by."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """An algorithm, and when it is the right one; `applies` says why, or nothing."""

    algorithm: str
    applies: Callable[[Problem, int], str | None]


class Automatic:
    """Hands everything to the algorithm that the rules choose; a proposal's notes say under "auto" which and why."""

    transfers = True

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._problem = problem
        self._made: dict[str, Algorithm] = {}
        self._algorithm(choose(problem, 0)[0])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        name, because = choose(self._problem, len(history))
        proposals = self._algorithm(name).suggest(history, pending, n=n, rng=rng)
        said = {"algorithm": name, "because": because}
        return [replace(proposal, notes={**proposal.notes, "auto": said}) for proposal in proposals]

    def _algorithm(self, name: str) -> Algorithm:
        if name not in self._made:
            self._made[name] = create(name, self._problem)
        return self._made[name]


def choose(problem: Problem, trials: int) -> tuple[str, str]:
    """The algorithm for a problem of which so many trials have ended, and why."""
    for rule in RULES:
        because = rule.applies(problem, trials)
        if because is not None:
            return rule.algorithm, because
    return "gp", "needs the fewest trials"


def _earlier_studies(problem: Problem, trials: int) -> str | None:
    return "learns from earlier studies" if problem.sources else None


def _many_objectives(problem: Problem, trials: int) -> str | None:
    m = len(problem.objectives)
    return f"{m} objectives" if m > MANY_OBJECTIVES else None


def _many_trials(problem: Problem, trials: int) -> str | None:
    return f"{trials} trials" if trials > MANY_TRIALS else None


def _many_dimensions(problem: Problem, trials: int) -> str | None:
    d = len(problem.space)
    return f"{d} parameters" if d > MANY_DIMENSIONS else None


def _deep(problem: Problem, trials: int) -> str | None:
    d, levels = len(problem.space), depth(problem.space)
    return f"{levels} levels of conditions in {d} parameters" if levels >= DEEP and d > DEEP_DIMENSIONS else None


def _mostly_choices(problem: Problem, trials: int) -> str | None:
    count = sum(isinstance(p, Choice) and not p.ordered for p in problem.space.values())
    many = count > MANY_CHOICES and count >= MOSTLY * len(problem.space)
    return f"{count} unordered choices among {len(problem.space)} parameters" if many else None


def depth(space: Space) -> int:
    """The levels of conditions: 0 without any, 1 where no parameter with a condition has one that depends on it."""
    level: dict[str, int] = {}
    for name, parameter in space.items():  # parents come before what depends on them
        level[name] = max((level[parent] + 1 for parent in conditions(parameter)), default=0)
    return max(level.values())


RULES = (
    _Rule("gp", _earlier_studies),
    _Rule("evolution", _many_objectives),
    _Rule("tpe", _many_trials),
    _Rule("tpe", _many_dimensions),
    _Rule("tpe", _deep),
    _Rule("tpe", _mostly_choices),
)
