"""One run: a peer on a task with a seed, sequential or with several trials under way on a virtual clock."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.optimizers.spaces import Config
from benchmarks.optimizers.tasks import Outcome, Task

RECOMMEND_EVERY = 5  # trials, on noisy tasks; often enough for a curve, and a model that is fitted anyway answers it
_DURATION_STREAM = 7919
_DURATION_SD = 0.5  # of the logarithm: the slowest of eight takes about four times as long as the quickest


class Conversation(Protocol):
    """A started adapter; see `client.Client`."""

    def call(self, request: str, **fields: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial, numbered by when it was asked for; `observed` is what the optimizer was told."""

    number: int
    config: Config
    outcome: Outcome
    observed: tuple[float, ...] | None
    feasible: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Trials in the order in which they ended; `chosen` maps a count of trials to the number of the one recommended
    then; `cpu_s` is asking plus telling, per trial in the order of asking."""

    trials: list[Trial]
    chosen: dict[int, int]
    cpu_s: list[float]


def play(conversation: Conversation, task: Task, *, seed: int, pending: int = 1) -> Run:
    """Ask and tell `task.trials` times. The `index`-th trial asked for has the same noise and duration for every peer.

    Raises BadConfigError when the peer leaves the space.
    """
    trials: list[Trial] = []
    chosen: dict[int, int] = {}
    cpu_s = [0.0] * task.trials
    for trial, spent_s in _finished(conversation, task, seed=seed, pending=pending):
        told = conversation.call("tell", id=trial.number, **_report(trial))
        cpu_s[trial.number] = spent_s + told["cpu_s"]
        trials.append(trial)
        if task.noise and len(trials) % RECOMMEND_EVERY == 0:
            choice = conversation.call("choose")["id"]
            if choice is not None:
                chosen[len(trials)] = choice
    return Run(trials, chosen, cpu_s)


def _finished(conversation: Conversation, task: Task, *, seed: int, pending: int) -> Iterator[tuple[Trial, float]]:
    """Trials as they end, with the CPU seconds of asking; the next is asked for when the caller comes back."""
    draws = np.random.default_rng([_DURATION_STREAM, seed]).standard_normal(task.trials)
    durations = np.exp(_DURATION_SD * draws)
    running: list[tuple[float, int, Trial, float]] = []
    asked, now = 0, 0.0
    while asked < task.trials or running:
        while asked < task.trials and len(running) < pending:
            answer = conversation.call("ask")
            outcome = task.evaluate(answer["config"])
            observed = task.observe(outcome, seed=seed, index=asked)
            trial = Trial(asked, answer["config"], outcome, observed, task.feasible(outcome))
            heapq.heappush(running, (now + float(durations[asked]), asked, trial, answer["cpu_s"]))
            asked += 1
        now, _, trial, spent_s = heapq.heappop(running)
        yield trial, spent_s


def _report(trial: Trial) -> dict[str, Any]:
    finite = trial.observed is not None and all(map(math.isfinite, trial.observed))
    values = list(trial.observed) if trial.observed is not None and finite else None
    return {"values": values, "metrics": dict(trial.outcome.metrics), "feasible": trial.feasible and finite}
