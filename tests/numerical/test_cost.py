"""What configurations cost, and what that weighs."""

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
from paretune.objective import Objectives
from paretune.records import Observation
from paretune.settings import AlgorithmSpec
from paretune.space import Space

SPACE = Space({"x": pt.Float(0, 1), "y": pt.Float(0, 1)})
ENCODING = Encoding(SPACE)
LOSS = Objectives.from_dict({"loss": "minimize"})


def trial(number: int, x: float, y: float, *, resource: float, cost: float = 1.0) -> Observation:
    loss = {"loss": (abs(x - 0.5) - 0.3) ** 2}
    return Observation(
        trial=number, config={"x": x, "y": y}, status="completed", resource=resource, metrics=loss,
        worker_seconds=cost * resource,
    )  # fmt: skip


def test_costs_are_told_apart_by_what_trials_took() -> None:
    rows = np.random.default_rng(1).random((30, 2))
    seen = [trial(i, x, y, resource=3.0 ** (i % 3), cost=10 ** (2 * x)) for i, (x, y) in enumerate(rows.tolist())]
    cost = learn_cost(seen, ENCODING)
    assert cost is not None
    log_cost = cost(torch.tensor([[0.2, 0.5], [0.8, 0.1]]).double())
    assert float(log_cost[1] - log_cost[0]) == pytest.approx(1.2 * np.log(10), rel=0.05)


def test_equal_costs_and_few_trials_say_nothing() -> None:
    seen = [trial(i, x, 0.5, resource=2.0) for i, x in enumerate(np.linspace(0, 1, 12).tolist())]
    assert learn_cost(seen, ENCODING) is None
    assert learn_cost([replace(o, worker_seconds=1.0 + o.trial) for o in seen[:4]], ENCODING) is None


def test_of_two_equal_prospects_the_cheaper_is_proposed() -> None:
    """A bowl whose two halves mirror each other, one of them a hundred times as expensive."""
    rows = np.random.default_rng(2).random((16, 2))
    seen = [trial(i, x, y, resource=9, cost=100.0 if x > 0.5 else 1.0) for i, (x, y) in enumerate(rows.tolist())]
    problem = Problem(space=SPACE, objectives=LOSS, seed=1)
    algorithm = algorithms.create(AlgorithmSpec(name="gp", settings={"cost_aware": True}), problem)
    (proposal,) = algorithm.suggest(seen, [], n=1, rng=np.random.default_rng(0))
    assert proposal.config["x"] < 0.5
    assert proposal.origin == "model"
