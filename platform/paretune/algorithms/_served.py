"""What is owed to every user whatever the algorithm: configurations given first come first, constraints hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._untried import Key, Tried, first_untried, legal_points, uniform_points
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import Config

FIRST = "given first"
"""The origin of a configuration that the user wanted tried before all others."""


class Served:
    """An algorithm that is asked once the given configurations are tried, and whose illegal proposals are mended.

    A mended proposal keeps every coordinate that no broken constraint concerns. Algorithms that know constraints never
    need it; those that do not are honest all the same.
    """

    def __init__(self, algorithm: Algorithm, problem: Problem) -> None:
        self._algorithm, self._space, self._first = algorithm, problem.space, problem.first
        self._tried = Tried(problem.space)
        self.joint: bool = getattr(algorithm, "joint", False)

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        """Propose as `Algorithm.suggest` does."""
        taken = self._tried.keys(history, pending)
        proposals: list[Proposal] = []
        for config in self._first:
            if len(proposals) < n and self._space.key(config) not in taken:
                proposals.append(Proposal(config=config, origin=FIRST))
                taken.add(self._space.key(config))
        if len(proposals) == n:
            return proposals
        waiting = [*pending, *(_waiting(proposal, len(pending) + i) for i, proposal in enumerate(proposals))]
        for proposal in self._algorithm.suggest(history, waiting, n=n - len(proposals), rng=rng):
            proposals.append(proposal if self._space.legal(proposal.config) else self._mended(proposal, taken, rng))
            taken.add(self._space.key(proposals[-1].config))
        return proposals

    def _mended(self, proposal: Proposal, taken: set[Key], rng: np.random.Generator) -> Proposal:
        (x_d,) = self._space.legality.mended(self._space.encode(proposal.config)[None], rng)
        elsewhere = legal_points(self._space, uniform_points(len(x_d), rng), rng)
        config: Config | None = first_untried(self._space, itertools.chain([x_d], elsewhere), taken)
        config = config or self._space.decode(x_d)
        return replace(proposal, config=config, acquisition=None, mean=None, sd=None)  # they were of another one


def _waiting(proposal: Proposal, number: int) -> Suggestion:
    """A proposal that the algorithm has to take for pending."""
    return Suggestion(id=-1 - number, proposal=proposal, algorithm=FIRST, history_position=0)
