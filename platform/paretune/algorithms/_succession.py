"""The proposals of population based training (Jaderberg et al., 2017, arXiv:1711.09846): who follows on whom, and how.

Any algorithm proposes the members that a population begins with. Those who follow on a member that was stopped, failed
or diverged go on from the checkpoint of one of the best, with other values of what is tuned. The scheduler `pbt` says
who is stopped (`paretune.schedulers.pbt`); who may be copied follows from the same comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._batch import Pending, one_by_one
from paretune.algorithms._explore import explored
from paretune.population import Places
from paretune.records import ENDINGS, Descent, Metrics, Observation, Proposal, Suggestion
from paretune.schedulers import PBT, rung, usable

ORIGIN = "copy"
"""The origin of a proposal that goes on from another trial's checkpoint."""


class Succession:
    """An algorithm that is asked for the first members of each population, and what comes after them."""

    def __init__(self, founders: Algorithm, problem: Problem, settings: PBT) -> None:
        self._founders, self._settings = founders, settings
        self._space, self._objectives, self._intervals = problem.space, problem.objectives, problem.rungs[:-1]
        self._tune = frozenset(problem.space if settings.tune is None else settings.tune)

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        """Propose as `Algorithm.suggest` does."""
        return one_by_one(lambda ahead: self._next(history, ahead, rng), pending, n)

    def _next(self, history: Sequence[Observation], ahead: Pending, rng: np.random.Generator) -> Proposal:
        waiting = _numbered(ahead, max((seen.trial for seen in history), default=-1) + 1)
        descents = {seen.trial: seen.descent for seen in history}
        descents |= {suggestion.id: suggestion.proposal.descent for suggestion in waiting}
        followed = {descent.instead_of for descent in descents.values() if descent is not None}
        lost = [seen for seen in history if _left(seen) and seen.trial not in followed]
        if not lost:
            return self._founder(history, waiting, rng)
        first = min(lost, key=lambda seen: seen.trial)
        copied = self._copied(first, history, descents, rng)
        if copied is None:
            founder = self._founder(history, waiting, rng)
            return replace(founder, notes={**founder.notes, **Descent(first.trial).note})
        parent, resource = copied
        config = explored(self._space, parent.config, tune=self._tune, resample=self._settings.resample, rng=rng)
        return Proposal(config=config, origin=ORIGIN, notes=Descent(first.trial, parent.trial, resource).note)

    def _copied(
        self,
        lost: Observation,
        history: Sequence[Observation],
        descents: dict[int, Descent | None],
        rng: np.random.Generator,
    ) -> tuple[Observation, float] | None:
        """One of the best of the population at the last interval that a member came to, and that interval."""
        came = max(lost.curve, default=0.0 if lost.descent is None else lost.descent.resource)
        resource = max((interval for interval in self._intervals if interval <= came), default=None)
        if resource is None:
            return None
        places = Places(self._settings.population)
        population = {trial: places.take(trial, descent) for trial, descent in sorted(descents.items())}
        rivals = {
            seen.trial: seen
            for seen in sorted(history, key=lambda seen: seen.trial)
            if population[seen.trial] == population[lost.trial]
            and usable(seen.curve.get(resource, {}), self._objectives)
        }
        best = self._best({trial: seen.curve[resource] for trial, seen in rivals.items()}, lost.trial)
        return (rivals[best[int(rng.integers(len(best)))]], resource) if best else None

    def _best(self, results: dict[int, Metrics], lost: int) -> list[int]:
        """The best of these trials; the lost one is among them only where there is no other."""
        compared = rung(self._objectives)
        for trial, metrics in results.items():
            compared.add(trial, metrics)
        ranked = sorted(results, key=compared.place)
        best = ranked[: max(1, self._settings.share(len(ranked)))]
        others = [trial for trial in ranked if trial != lost]
        return [trial for trial in best if trial != lost] or others[:1] or ranked

    def _founder(
        self, history: Sequence[Observation], waiting: Sequence[Suggestion], rng: np.random.Generator
    ) -> Proposal:
        """What the algorithm proposes that knows of the other founders, as they were after their first interval."""
        first = self._intervals[0]
        known = [
            replace(seen, resource=first, metrics=seen.curve[first], curve={}) if first in seen.curve else seen
            for seen in history
            if not _copy(seen.descent)
        ]
        others = [suggestion for suggestion in waiting if not _copy(suggestion.proposal.descent)]
        (proposal,) = self._founders.suggest(known, others, n=1, rng=rng)
        return proposal


def _left(seen: Observation) -> bool:
    """Whether a trial has left its place in its population."""
    return seen.status in ENDINGS and seen.status != "completed"


def _copy(descent: Descent | None) -> bool:
    return descent is not None and descent.parent is not None


def _numbered(ahead: Pending, number: int) -> list[Suggestion]:
    """What is pending as suggestions; proposals of the same batch get the numbers from `number` on that are free."""
    taken = [entry.id for entry in ahead if isinstance(entry, Suggestion)]
    free = count(max([number - 1, *taken]) + 1)
    return [
        entry
        if isinstance(entry, Suggestion)
        else Suggestion(id=next(free), proposal=entry, algorithm=ORIGIN, history_position=0)
        for entry in ahead
    ]
