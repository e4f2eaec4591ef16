"""Grids: which configurations, in which order, and what is too large."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import paretune as pt
from paretune.algorithms._grid.combinations import combinations, levels
from paretune.errors import AlgorithmError
from paretune.space import Choice, Config, Float, Int, Space

SPACE = Space(
    {
        "optimizer": Choice(["adamw", "sgd"]),
        "momentum": Float(0, 0.9, when={"optimizer": "sgd"}),
        "layers": Int(1, 3),
        "lr": Float(1e-4, 1e-2, log=True),
    }
)


def ask(space: Space, n: int, **settings: Any) -> list[Config]:
    opt = pt.Optimizer(space, {"error": "minimize"}, algorithm={"name": "grid", **settings})
    return [suggestion.config for suggestion in opt.ask(n=n)]


def test_levels_have_both_ends() -> None:
    assert levels(SPACE["lr"], 3) == [1e-4, 1e-3, 1e-2]
    assert levels(SPACE["momentum"], None) == [0, 0.225, 0.45, 0.675, 0.9]
    assert levels(SPACE["layers"], None) == [1, 2, 3]
    assert levels(Int(1, 100), 3) == [1, 51, 100]
    assert levels(Int(1, 2), 9) == [1, 2]
    assert levels(SPACE["momentum"], 1) == [0.45]


def test_a_grid_is_every_combination_that_is_legal() -> None:
    values = {name: levels(parameter, 3) for name, parameter in SPACE.items()}
    listed = list(combinations(SPACE, values))
    expected = [
        {"optimizer": "adamw", "layers": layers, "lr": lr} for layers, lr in itertools.product([1, 2, 3], values["lr"])
    ] + [
        {"optimizer": "sgd", "momentum": momentum, "layers": layers, "lr": lr}
        for momentum, layers, lr in itertools.product(values["momentum"], [1, 2, 3], values["lr"])
    ]
    assert listed == expected
    for config in listed:
        SPACE.check(config)


def test_the_order_is_shuffled_by_the_seed_or_as_listed() -> None:
    listed = list(combinations(SPACE, {name: levels(parameter, None) for name, parameter in SPACE.items()}))
    assert ask(SPACE, 90, order="sequential") == listed
    shuffled = ask(SPACE, 90)
    assert shuffled != listed
    assert {SPACE.key(config) for config in shuffled} == {SPACE.key(config) for config in listed}


def test_a_grid_that_is_used_up_is_gone_through_again() -> None:
    space = Space({"a": Choice(["x", "y", "z"], default="y")})
    assert ask(space, 6, order="sequential") == [{"a": a} for a in ["y", "x", "z", "x", "y", "z"]]


def test_points_can_be_given_by_name() -> None:
    configs = ask(SPACE, 60, points={"lr": 2, "layers": 1}, order="sequential")
    assert {config["lr"] for config in configs} == {1e-4, 1e-2}
    assert {config["layers"] for config in configs} == {2}
    assert len({SPACE.key(config) for config in configs}) == 2 + 5 * 2


def test_what_no_grid_can_be_made_of_is_refused() -> None:
    with pytest.raises(AlgorithmError, match="must have at most 10,000 configurations") as caught:
        ask(Space({name: Int(0, 30) for name in "abc"}), 1)
    assert caught.value.hint == "points: {a: 15}, or algorithm: sobol, which needs no grid"
    ask(Space({name: Int(0, 30) for name in "abc"}), 1, points={"a": 10})
    with pytest.raises(AlgorithmError, match="algorithm: grid: points: no parameter 'layer'") as caught:
        ask(SPACE, 1, points={"layer": 3})
    assert caught.value.hint == "did you mean 'layers'?"
