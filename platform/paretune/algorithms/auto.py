"""The algorithm that fits the problem.

A table of rules, the first that holds decides; `gp` where none does, which is nearly always. The choice follows from
the problem and from how many results there are, so a resumed study makes it again. Every proposal says what it was.

The rules stand where measurements end (`benchmarks/choice.py`, seeds 0 and 1, often 0 alone). Within them `gp` was at
least as good after equal trials where others are said to be better. Five to ten objectives, 60 trials: a mean R2 of
.059 where evolution has .064, by little, better in five of eight runs. 10, 20 and 30 unordered choices, 100 trials:
-18.1, -37.7, -34.6; evolution -16.0, -36.4, not run; tpe -17.2, -30.2, -25.5. Three levels of conditions over 47
parameters, 100 trials: .047; tpe .056. So none of these is a reason to leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._discovery import create
from paretune.algorithms._settings import Settings
from paretune.records import Observation, Proposal, Suggestion

MANY_TRIALS = 8000
"""Beyond these, no result of gp has been measured. Given 500 to 8,000 random results of a curved valley in six numbers,
its next thirty trials came to .8 to 1.1 (log10 of the value) at .15 to .28 s of CPU each; tpe's thirty after 500 and
1,000 improved nothing (2.1 and 1.9). One seed; what tpe is good for here is its cost, .06 s after 500 results."""

MANY_DIMENSIONS = 150
"""Beyond these, no result of gp has been measured. Of 60 numbers eight of which matter, its best of 100 trials was .08
and .001 (two seeds) and tpe's .04 and .05; of 150 such numbers it was .002 and .001, and tpe's .04 (one seed)."""


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


def _many_trials(problem: Problem, trials: int) -> str | None:
    return f"{trials} trials" if trials > MANY_TRIALS else None


def _many_dimensions(problem: Problem, trials: int) -> str | None:
    d = len(problem.space)
    return f"{d} parameters" if d > MANY_DIMENSIONS else None


RULES = (
    _Rule("gp", _earlier_studies),
    _Rule("tpe", _many_trials),
    _Rule("tpe", _many_dimensions),
)
