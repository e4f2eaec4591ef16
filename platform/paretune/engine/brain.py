"""Suggestions are computed off Tune's control loop, by an actor that keeps nothing.

The algorithm is a pure function of what it is given, so an actor that dies is simply asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from paretune import algorithms
from paretune.objective import Objectives
from paretune.records import Observation, Suggestion
from paretune.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that a suggestion is computed from."""

    id: int
    history: Sequence[Observation]
    pending: Sequence[Suggestion]
    history_position: int


class _Brain:
    def __init__(self, name: str, space: Space, objectives: Objectives, seed: int) -> None:
        self._name, self._seed = name, seed
        self._algorithm = algorithms.create(name, space, objectives, seed=seed)

    def answer(self, question: Question) -> Suggestion:
        return algorithms.propose(
            self._algorithm,
            name=self._name,
            history=question.history,
            pending=question.pending,
            n=1,
            seed=self._seed,
            first_id=question.id,
            history_position=question.history_position,
        )[0]


class Brain:
    """The driver's side: one question at a time, its answer fetched when it is there."""

    def __init__(self, name: str, space: Space, objectives: Objectives, *, seed: int) -> None:
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Brain)
        self._actor: Any = actor.remote(name, space, objectives, seed)
        self._answer: Any = None

    @property
    def asked(self) -> bool:
        return self._answer is not None

    def ask(self, question: Question) -> None:
        """Start computing; only when nothing is under way."""
        assert self._answer is None
        self._answer = self._actor.answer.remote(question)

    def fetch(self, *, timeout_s: float) -> Suggestion | None:
        """The answer, or None when it is not there within the time; raises what the algorithm raised."""
        ready, _ = ray.wait([self._answer], timeout=timeout_s)
        if not ready:
            return None
        answer, self._answer = self._answer, None
        suggestion: Suggestion = ray.get(answer)
        return suggestion

    def close(self) -> None:
        ray.kill(self._actor)
