"""The search within constraints, on values whose best legal configuration is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.legal import completed, movable
from paretune.algorithms._gp.optimize import Candidate, Search
from paretune.space import Choice, Config, Float, Int, Space


def nearest(space: Space, target: Config, *, seed: int = 0) -> Candidate:
    """What the search finds for minus the squared distance to the target's columns."""
    encoding = Encoding(space)
    target_f = torch.from_numpy(encoding.features([target])[0])
    search = Search(lambda X_tf: -((X_tf - target_f) ** 2).sum(-1), Cube(encoding), set())
    found = search.best([], np.random.default_rng(seed))
    assert found is not None
    space.check(found.config)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_projection_on_a_simplex_is_found(seed: int) -> None:
    """Held and others (1974): the target less 0.4 each, no less than 0; the simplex is 2e-5 of the cube."""
    names = [f"x{i}" for i in range(8)]
    space = Space({name: Float(0, 1) for name in names}, [f"{' + '.join(names)} <= 1"])
    found = nearest(space, {name: 0.1 * (i + 1) for i, name in enumerate(names)}, seed=seed)
    assert found.value == pytest.approx(-0.94, abs=1e-3)
    assert [found.config[name] for name in names] == pytest.approx([0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_a_product_of_logarithmic_numbers_is_a_line() -> None:
    """log lr and log width count from their bounds: halfway between the target and its mirror image."""
    space = Space({"lr": Float(1e-3, 1, log=True), "width": Float(1, 1000, log=True)}, ["lr * width <= 1"])
    found = nearest(space, {"lr": 0.1, "width": 100.0})
    assert found.config["lr"] == pytest.approx(10**-1.5, rel=0.01)
    assert found.config["lr"] * found.config["width"] == pytest.approx(1, rel=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(3))
def test_integers_on_a_curved_boundary_agree_with_brute_force(seed: int) -> None:
    space = Space({"a": Int(1, 90), "b": Int(1, 90, log=True), "z": Float(0, 1)}, ["a * b <= 300"])
    target = {"a": 70, "b": 50, "z": 0.3}
    found = nearest(space, target, seed=seed)
    at = space.encode(target)
    best = min(
        float(((space.encode({"a": a, "b": b, "z": 0.3}) - at) ** 2).sum())
        for a, b in itertools.product(range(1, 91), repeat=2)
        if a * b <= 300
    )
    assert -found.value == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_search_walks_along_an_equation(seed: int) -> None:
    space = Space(
        {
            "batch": Int(8, 4096, step="power2"),
            "accumulate": Int(1, 512),
            "lr": Float(1e-5, 1.0, log=True),
            "optimizer": Choice(["adamw", "sgd"]),
            "momentum": Float(0, 1, when={"optimizer": "sgd"}),
            "dampening": Float(0, 1, when={"optimizer": "sgd"}),
        },
        ["batch * accumulate == 4096", "momentum + dampening <= 0.5"],
    )
    target = {
        "batch": 32, "accumulate": 128, "lr": 3e-3, "optimizer": "sgd", "momentum": 0.8, "dampening": 0.1,
    }  # fmt: skip
    found = nearest(space, target, seed=seed).config
    assert (found["batch"], found["accumulate"], found["optimizer"]) == (32, 128, "sgd")
    assert (found["momentum"], found["dampening"]) == pytest.approx((0.5, 0.0), abs=0.11)
    assert found["momentum"] + found["dampening"] <= 0.5 + 1e-9  # type: ignore[operator]


def test_a_step_that_breaks_an_equation_is_completed() -> None:
    space = Space({"a": Int(1, 64), "b": Int(1, 64), "c": Int(1, 64)}, ["a * b * c == 64"])
    here = space.encode({"a": 4, "b": 4, "c": 4})
    steps = [space.encode({"a": a, "b": 4, "c": 4}) for a in (2, 5)]
    reached = [space.decode(x_d) for x_d in completed(space, np.array(steps), here)]
    assert reached == [{"a": 2, "b": 8, "c": 4}, {"a": 2, "b": 4, "c": 8}]


def test_a_gradient_moves_nothing_in_an_equation() -> None:
    space = Space(
        {"a": Int(1, 64), "b": Int(1, 64), "c": Choice(list(range(1, 20)), ordered=True), "d": Int(1, 64)},
        ["a * b == 64", "c <= d"],
    )
    assert movable(Cube(Encoding(space))).tolist() == [False, False, False, True]


def test_many_dimensions_are_searched_in_parts() -> None:
    names = [f"x{i}" for i in range(40)]
    space = Space({name: Float(0, 1) for name in names}, [f"{' + '.join(names)} <= 16", "x0 * x1 <= 0.04"])
    found = nearest(space, dict.fromkeys(names, 0.8))
    assert found.value == pytest.approx(-(2 * 0.6**2 + 38 * (0.8 - 15.6 / 38) ** 2), rel=0.01)
