"""Which paused trials are worth more than a new one, and what configurations cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import paretune as pt
from paretune import algorithms
from paretune.algorithms import Problem
from paretune.algorithms._gp.cost import learn_cost
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import learn
from paretune.algorithms._gp.promise import promises
from paretune.objective import Objectives
from paretune.records import Observation, Promises, Proposal
from paretune.space import Space
from paretune.study import AlgorithmSpec

RUNGS = (1.0, 3.0, 9.0)
SPACE = Space({"x": pt.Float(0, 1), "y": pt.Float(0, 1)})
ENCODING = Encoding(SPACE)
LOSS = Objectives.from_dict({"loss": "minimize"})


def loss(x: float, y: float, epoch: float) -> float:
    """Who is fast at first (a large x) ends badly."""
    return float((2 - x) / epoch + 2 * x * (1 - 1 / epoch) + 0.5 * (y - 0.4) ** 2)


def trial(number: int, x: float, y: float, rungs: int, *, cost: float = 1.0) -> Observation:
    curve = {rung: {"loss": loss(x, y, rung)} for rung in RUNGS[:rungs]}
    resource = RUNGS[rungs - 1]
    return Observation(
        trial=number,
        config={"x": x, "y": y},
        status="completed" if rungs == len(RUNGS) else "paused",
        resource=resource,
        metrics=curve[resource],
        curve=curve,
        worker_seconds=cost * resource,
    )


@pytest.fixture(scope="module")
def history() -> list[Observation]:
    rows = np.random.default_rng(0).random((40, 2))
    return [trial(i, *rows[i], 3 if i % 4 == 0 else 1 + i % 2) for i in range(40)]


def promised(history: list[Observation], paused: list[int], candidate: tuple[float, float]) -> Promises | None:
    knowledge = learn(history, LOSS, ENCODING, rungs=RUNGS, cost_aware=True)
    return promises(knowledge, paused, np.array(candidate))


def test_a_slow_starter_is_promised_more_than_a_fast_one_that_ends_badly(history: list[Observation]) -> None:
    slow, fast = trial(100, 0.02, 0.4, 1), trial(101, 0.98, 0.4, 1)
    assert fast.metrics["loss"] < slow.metrics["loss"]
    found = promised([*history, slow, fast], [100, 101], candidate=(0.9, 0.9))
    assert found is not None
    assert found.below == RUNGS[-1]
    assert list(found.trials) == [100]


def test_a_new_trial_comes_before_paused_ones_that_promise_less(history: list[Observation]) -> None:
    bad = trial(100, 0.97, 0.9, 2)
    found = promised([*history, bad], [100], candidate=(0.0, 0.4))
    assert found is not None
    assert not found.trials


def test_the_nearer_its_end_the_more_a_trial_is_worth(history: list[Observation]) -> None:
    """The same promise for less training."""
    near, far = trial(100, 0.02, 0.4, 2), trial(101, 0.02, 0.4, 1)
    found = promised([*history, near, far], [100, 101], candidate=(0.9, 0.9))
    assert found is not None
    assert list(found.trials) == [100]


def test_nothing_is_promised_before_two_rungs_are_known() -> None:
    rows = np.random.default_rng(0).random((9, 2))
    assert promised([trial(i, *row, 1) for i, row in enumerate(rows)], [0, 1], (0.5, 0.5)) is None


def test_promises_are_plain_data_in_a_proposals_notes() -> None:
    made = Promises(below=27.0, trials={3: -1.5, 12: 0.25})
    assert Proposal(config={}, origin="model", notes=made.note).promises == made
    assert Proposal(config={}, origin="model").promises is None


def test_costs_are_told_apart_by_what_trials_took() -> None:
    rows = np.random.default_rng(1).random((30, 2))
    seen = [trial(i, x, y, 1 + i % 3, cost=10 ** (2 * x)) for i, (x, y) in enumerate(rows.tolist())]
    cost = learn_cost(seen, ENCODING)
    assert cost is not None
    log_cost = cost(torch.tensor([[0.2, 0.5], [0.8, 0.1]]).double())
    assert float(log_cost[1] - log_cost[0]) == pytest.approx(1.2 * np.log(10), rel=0.05)


def test_equal_costs_and_few_trials_say_nothing(history: list[Observation]) -> None:
    assert learn_cost([replace(o, worker_seconds=2.0, resource=1.0) for o in history], ENCODING) is None
    assert learn_cost(history[:4], ENCODING) is None


def test_of_two_equal_prospects_the_cheaper_is_proposed() -> None:
    """A bowl whose two halves mirror each other, one of them a hundred times as expensive."""
    rows = np.random.default_rng(2).random((16, 2))
    half = [trial(i, x, y, 3, cost=100.0 if x > 0.5 else 1.0) for i, (x, y) in enumerate(rows.tolist())]
    seen = [replace(o, metrics={"loss": (abs(o.config["x"] - 0.5) - 0.3) ** 2}, curve={}) for o in half]
    problem = Problem(space=SPACE, objectives=LOSS, seed=1)
    algorithm = algorithms.create(AlgorithmSpec(name="gp", settings={"cost_aware": True}), problem)
    (proposal,) = algorithm.suggest(seen, [], n=1, rng=np.random.default_rng(0))
    assert proposal.config["x"] < 0.5
    assert proposal.origin == "model"
