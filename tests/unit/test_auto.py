"""Which algorithm `auto` chooses, and that it is that algorithm to the bit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from paretune import algorithms
from paretune.algorithms import Problem
from paretune.algorithms.auto import MANY_DIMENSIONS, MANY_TRIALS, choose
from paretune.objective import Objectives
from paretune.parameters import Parameter
from paretune.records import Observation
from paretune.space import Choice, Float, Int, Space

PLANE = {"x": Float(0, 1), "y": Float(0, 1)}
TREE: dict[str, Parameter] = {
    "model": Choice(["forest", "net"]),
    "layers": Int(1, 3, when={"model": "net"}),
    "skip": Choice([True, False], when={"layers": [2, 3]}),
    "scale": Float(0, 1, when={"skip": True, "model": "net"}),
}


def problem(space: Mapping[str, Parameter], objectives: int = 1) -> Problem:
    goals = {f"y{i}": "minimize" for i in range(objectives)}
    return Problem(space=Space(space), objectives=Objectives.from_dict(goals))


def floats(count: int) -> dict[str, Parameter]:
    return {f"x{i}": Float(0, 1) for i in range(count)}


@pytest.mark.parametrize(
    ("given", "trials", "chosen", "because"),
    [
        (problem(PLANE), 0, "gp", "needs the fewest trials"),
        (problem(PLANE, 2), 500, "gp", "needs the fewest trials"),
        (problem(TREE), 0, "gp", "needs the fewest trials"),
        (problem(floats(40)), 0, "gp", "needs the fewest trials"),
        (problem(PLANE, 10), 0, "gp", "needs the fewest trials"),
        (problem({**TREE, **floats(27)}), 0, "gp", "needs the fewest trials"),
        (problem({f"c{i}": Choice(["a", "b"]) for i in range(20)}), 0, "gp", "needs the fewest trials"),
        (problem(PLANE), MANY_TRIALS + 1, "tpe", "8001 trials"),
        (problem(floats(MANY_DIMENSIONS + 1)), 0, "tpe", "151 parameters"),
    ],
    ids=["plane", "two", "tree", "forty", "ten objectives", "deep", "choices", "many trials", "many dimensions"],
)
def test_the_rules(given: Problem, trials: int, chosen: str, because: str) -> None:
    name, why = choose(given, trials)
    assert name == chosen
    assert why.startswith(because)


@pytest.mark.parametrize(("count", "name"), [(2, "gp"), (MANY_DIMENSIONS + 1, "tpe")])
def test_it_proposes_what_the_chosen_algorithm_would(count: int, name: str) -> None:
    given = problem(floats(count))
    rng = np.random.default_rng(0)
    past = [
        Observation(
            trial=i, config=given.space.decode(rng.random(count)), status="completed", resource=1.0, metrics={"y0": i}
        )
        for i in range(12)
    ]
    auto, chosen = algorithms.create("auto", given), algorithms.create(name, given)
    proposals = auto.suggest(past, [], n=2, rng=np.random.default_rng(1))
    assert pickle.loads(pickle.dumps(auto)).suggest(past, [], n=2, rng=np.random.default_rng(1)) == proposals
    said = {"algorithm": name, "because": choose(given, 12)[1]}
    assert [proposal.notes["auto"] for proposal in proposals] == [said, said]
    expected = chosen.suggest(past, [], n=2, rng=np.random.default_rng(1))
    assert proposals == [replace(proposal, notes={**proposal.notes, "auto": said}) for proposal in expected]
