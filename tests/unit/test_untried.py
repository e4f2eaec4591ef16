"""The start of a search, and what happens where points repeat."""

from __future__ import annotations

from itertools import islice

import numpy as np
from scipy.stats import qmc

import paretune as pt
from paretune.algorithms._initial import middle, next_initial
from paretune.algorithms._untried import first_untried, sobol_points, uniform_points, untried
from paretune.beliefs import Normal
from paretune.space import Choice, Config, Float, Int, Space

PLANE = Space({"x": Float(0, 1), "y": Float(0, 1)})
SMALL = Space({"a": Choice(["x", "y"]), "b": Int(1, 3, when={"a": "x"})})  # x1 x2 x3 y


def walk(space: Space, n: int, *, seed: int = 0) -> list[Config]:
    taken, configs = set(), []
    for trials in range(n):
        configs.append(next_initial(space, taken, seed=seed, trials=trials).config)
        taken.add(space.key(configs[-1]))
    return configs


def test_one_sequence_however_often_it_is_begun() -> None:
    whole = list(islice(sobol_points(3, seed=1, ahead=0), 100))
    assert np.array_equal(whole, list(islice(sobol_points(3, seed=1, ahead=90), 100)))
    assert not np.array_equal(whole, list(islice(sobol_points(3, seed=2, ahead=0), 100)))


def test_the_start_fills_the_space_better_than_chance() -> None:
    points = np.array([PLANE.encode(config) for config in walk(PLANE, 32)])
    chance = [qmc.discrepancy(np.random.default_rng(seed).random((32, 2))) for seed in range(100)]
    assert qmc.discrepancy(points) < min(chance)


def test_the_middle_is_for_a_space_about_which_nothing_else_was_said() -> None:
    found = middle(PLANE, set(), seed=0)
    assert found is not None
    assert found.config == {"x": 0.5, "y": 0.5}
    assert middle(PLANE, {PLANE.key(found.config)}, seed=0) is None, "it was tried"
    assert middle(Space({"x": Float(0, 1, default=0.9)}), set(), seed=0) is None
    assert middle(Space({"x": Float(0, 1, prior=Normal(mean=0.9, sd=0.1))}), set(), seed=0) is None
    assert middle(Space({"x": Float(0, 1), "y": Float(0, 1)}, ["x + y <= 0.9"]), set(), seed=0) is None


def test_options_have_no_middle() -> None:
    """Which branch of a tree a search begins in is left to chance, unless they have an order."""
    assert middle(Space({"kind": Choice(["a", "b", "c"])}), set(), seed=0) is None
    tree = Space({"kind": Choice(["a", "b", "c"]), "x": Float(0, 1, when={"kind": "b"}), "y": Float(0, 1)})
    found = [middle(tree, set(), seed=seed) for seed in range(20)]
    assert {one.config["kind"] for one in found if one} == {"a", "b", "c"}
    assert all(one and one.config["y"] == 0.5 and one.config.get("x", 0.5) == 0.5 for one in found)
    ordered = middle(Space({"size": Choice(["s", "m", "l"], ordered=True)}), set(), seed=1)
    assert ordered is not None
    assert ordered.config == {"size": "m"}


def test_a_model_based_search_begins_in_the_middle() -> None:
    opt = pt.Optimizer(PLANE, {"error": "minimize"}, algorithm="gp", seed=0)
    asked = opt.ask(n=3)
    assert [suggestion.proposal.origin for suggestion in asked] == ["middle", "initial", "initial"]
    assert [suggestion.config for suggestion in asked] == [{"x": 0.5, "y": 0.5}, *walk(PLANE, 2)]


def test_points_that_were_tried_elsewhere_are_left_out() -> None:
    expected = walk(PLANE, 5)
    assert next_initial(PLANE, {PLANE.key(expected[0])}, seed=0, trials=1).config == expected[1]


def test_a_conditional_space_is_enumerated_without_its_absent_parts() -> None:
    assert list(untried(SMALL, set())) == [{"a": "x", "b": 1}, {"a": "x", "b": 2}, {"a": "x", "b": 3}, {"a": "y"}]
    assert list(untried(SMALL, {SMALL.key({"a": "x", "b": 2}), SMALL.key({"a": "y"})})) == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 3},
    ]
    assert list(untried(PLANE, set())) == []


def test_the_last_configuration_left_is_found() -> None:
    space = Space({"a": Int(1, 1000)})
    taken = {space.key({"a": a}) for a in range(1, 1001) if a != 437}
    corner = iter(lambda: np.zeros(1), None)  # a source of points that never gets there
    assert first_untried(space, corner, taken) == {"a": 437}


def test_an_exhausted_space_is_said_to_be_so_and_repeats_vary() -> None:
    taken = {SMALL.key(config) for config in untried(SMALL, set())}
    assert first_untried(SMALL, uniform_points(2, np.random.default_rng(0)), taken) is None
    repeats = walk(SMALL, 24)[4:]
    assert len({SMALL.key(config) for config in repeats}) == 4
