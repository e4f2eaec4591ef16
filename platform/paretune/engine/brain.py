"""Suggestions are computed off Tune's control loop, by an actor that keeps nothing.

The algorithm is a pure function of what it is given, so an actor that dies is simply asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from paretune import algorithms
from paretune.algorithms import Problem
from paretune.engine.ahead import Ahead, Next
from paretune.log import Log, latest
from paretune.records import Observation, Suggestion
from paretune.settings import AlgorithmSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that a suggestion is computed from; of the observations only what came after the first `known`."""

    id: int
    known: int
    news: Sequence[Observation]
    pending: Sequence[Suggestion]
    history_position: int


class _Brain:
    """The actor. It remembers what it was told, to be told only the news; one that was restarted says so."""

    def __init__(self, algorithm: AlgorithmSpec, problem: Problem, *, bound_regret: bool) -> None:
        self._chosen, self._problem, self._bound_regret = algorithm, problem, bound_regret
        self._algorithm = algorithms.create(algorithm, problem)
        self._observations: list[Observation] = []

    def answer(self, question: Question) -> Suggestion | None:
        """The suggestion, or None when all has to be told from the beginning."""
        if question.known > len(self._observations):
            return None
        self._observations[question.known :] = question.news
        history = latest(self._observations)
        (suggestion,) = algorithms.propose(
            self._algorithm,
            name=self._chosen.name,
            history=history,
            pending=question.pending,
            n=1,
            seed=self._problem.seed,
            first_id=question.id,
            history_position=question.history_position,
        )
        if not self._bound_regret:
            return suggestion
        return algorithms.bound_regret(suggestion, self._problem, history, self._chosen)


class Brain:
    """The driver's side: one question at a time, its answer fetched when it is there and kept until it is taken."""

    def __init__(self, algorithm: AlgorithmSpec, problem: Problem, ahead: Ahead, *, bound_regret: bool = False) -> None:
        """`ahead` says what to prepare; `bound_regret` asks for the bound that the rule `regret` needs."""
        self._ahead = ahead
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Brain)
        self._actor: Any = actor.remote(algorithm, problem, bound_regret=bound_regret)
        self._answer: Any = None
        self._whole: Question | None = None
        self._told = 0

    def advance(self, log: Log, *, room: int, wanted: bool, timeout_s: float = 0.0) -> None:
        """Keep an answer that is there within the time, and ask what is to be computed next.

        `room` is how many trials may be suggested by now, `wanted` says that a worker is free. Raises what the
        algorithm raised.
        """
        self._fetch(timeout_s)
        coming = self._ahead.next(log, room=room, wanted=wanted) if self._answer is None else None
        if coming is not None:
            self._ask(coming, log)

    def take(self) -> Suggestion | None:
        """The suggestion to try next, None when none is ready."""
        return self._ahead.take()

    def _ask(self, coming: Next, log: Log) -> None:
        told = list(log.observations)
        self._whole = Question(
            id=coming.number,
            known=0,
            news=told,
            pending=[*log.pending, *coming.prepared],
            history_position=log.position,
        )
        known, self._told = self._told, len(told)
        self._answer = self._actor.answer.remote(replace(self._whole, known=known, news=told[known:]))

    def _fetch(self, timeout_s: float) -> None:
        if self._answer is None or not ray.wait([self._answer], timeout=timeout_s)[0]:
            return
        suggestion: Suggestion | None = ray.get(self._answer)
        if suggestion is None:  # a restarted actor has to be told everything
            self._answer = self._actor.answer.remote(self._whole)
            return
        self._answer = None
        self._ahead.computed(suggestion)

    def close(self) -> None:
        ray.kill(self._actor)
