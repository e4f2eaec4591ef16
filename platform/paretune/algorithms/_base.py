"""What an algorithm is, and what it is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paretune.earlier import Source
from paretune.objective import Objectives
from paretune.records import Observation, Proposal, Suggestion
from paretune.schedulers import PBT
from paretune.space import Config, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is searched, and for what: all that stays the same in all of a study.

    `seed` is the study's, for what is drawn once and for all, as one low-discrepancy sequence. `first` are complete
    configurations to propose before any other; `create` sees to them, an algorithm need not. `sources` are earlier
    studies to learn from. `rungs` are the resources at which trials are compared, lowest first, the last one being a
    whole training; none where every trial is trained to its end. `succession` says how the trials of a population
    follow on each other; `create` sees to that too.
    """

    space: Space
    objectives: Objectives
    seed: int = 0
    first: tuple[Config, ...] = ()
    sources: tuple[Source, ...] = ()
    rungs: tuple[float, ...] = ()
    succession: PBT | None = None


class Algorithm(Protocol):
    """Proposes configurations: a pure function of the study so far.

    Equal arguments give equal proposals, bit for bit on one machine, whatever was asked before: an algorithm keeps
    nothing that cannot be rebuilt from `history`, and a cache may only make it faster. It leaves the global random
    generators and thread settings as they were, and must pickle.

    A class attribute `Settings` names the class of its settings, where it has any; one named `transfers` is true where
    it learns from `problem.sources`. An attribute `joint` is true where what is asked for at once is chosen together.
    """

    def __init__(self, problem: Problem, settings: Any) -> None:
        """Raises AlgorithmError for a problem it does not serve."""

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        """Return n proposals, each aware of the ones before it, or all of all others where they are chosen together.

        `history` holds one observation for each ended trial (also failed and diverged ones, whose metrics must not
        reach a model), `pending` what was suggested and has not ended. All randomness comes from `rng` and the
        study's seed.
        """
