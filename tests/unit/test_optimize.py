"""The search for the configuration that is worth most, on values whose best configuration is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.optimize import Search
from paretune.space import Choice, Config, Float, Int, Space

MIXED = Space(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "width": Int(1, 512, log=True),
        "depth": Int(1, 6),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        "kind": Choice([f"k{i}" for i in range(12)]),
    }
)


def nearness(encoding: Encoding, target: Config) -> Search:
    """Minus the squared distance to the target's columns, as an objective."""
    target_f = torch.from_numpy(encoding.features([target])[0])
    return Search(lambda X_tf: -((X_tf - target_f) ** 2).sum(-1), Cube(encoding), set())


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_a_mixed_conditional_space_is_found(seed: int) -> None:
    target = {"lr": 3e-3, "width": 77, "depth": 5, "optimizer": "sgd", "momentum": 0.83, "kind": "k7"}
    found = nearness(Encoding(MIXED), target).best([], np.random.default_rng(seed))
    assert found is not None
    MIXED.check(found.config)
    assert {name: value for name, value in found.config.items() if not isinstance(value, float)} == {
        "width": 77,
        "depth": 5,
        "optimizer": "sgd",
        "kind": "k7",
    }
    assert found.config["lr"] == pytest.approx(3e-3, rel=1e-3)
    assert found.config["momentum"] == pytest.approx(0.83, rel=1e-3)
    assert found.value == pytest.approx(0.0, abs=1e-8)


def test_what_is_taken_is_not_found_again() -> None:
    space = Space({"a": Int(1, 2000), "b": Choice([True, False])})
    encoding = Encoding(space)
    search = nearness(encoding, {"a": 1000, "b": True})
    taken = {space.key({"a": a, "b": True}) for a in range(990, 1011)}
    found = Search(search._objective, Cube(encoding), taken).best([], np.random.default_rng(0))
    assert found is not None
    assert found.config in ({"a": 989, "b": True}, {"a": 1011, "b": True})


def test_a_small_space_is_searched_whole() -> None:
    space = Space({"a": Int(1, 32), "b": Choice(list("abcdefgh"))})
    encoding = Encoding(space)
    table = np.random.default_rng(3).random(256)  # no structure that a climb could use
    order = {row.tobytes(): value for row, value in zip(encoding.features(_all(space)), table, strict=True)}

    def objective(X_tf: torch.Tensor) -> torch.Tensor:
        return torch.tensor([order[row.numpy().tobytes()] for row in X_tf], dtype=torch.double)

    taken = {space.key(_all(space)[int(np.argmax(table))])}
    found = Search(objective, Cube(encoding), taken).best([], np.random.default_rng(0))
    assert found is not None
    assert found.value == np.sort(table)[-2]
    exhausted = Search(objective, Cube(encoding), {space.key(config) for config in _all(space)})
    assert exhausted.best([], np.random.default_rng(0)) is None


def _all(space: Space) -> list[Config]:
    return [{"a": a, "b": b} for a in range(1, 33) for b in "abcdefgh"]
