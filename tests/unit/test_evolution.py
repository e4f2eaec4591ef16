"""Selection against brute force and by hand; children stay in the space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretune.algorithms._evolution.variation import Variation
from paretune.pareto import best_first, constrained_ranks, crowding
from paretune.space import Choice, Float, Int, Space
from strategies import points, spaces

small = st.integers(0, 4).map(float)
rows = st.integers(1, 3).flatmap(lambda m: st.lists(st.tuples(*[small] * (m + 1)), min_size=1, max_size=12))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    """Constrained domination (Deb et al., 2002, definition 1); the first column is the violation."""
    if a[0] > 0 or b[0] > 0:
        return bool(a[0] < b[0])
    return bool(np.all(a[1:] <= b[1:]) and np.any(a[1:] < b[1:]))


@given(rows)
def test_ranks_are_those_of_peeling_front_after_front(table: list[tuple[float, ...]]) -> None:
    values = np.array(table)
    left, expected, rank = list(range(len(values))), {}, 0
    while left:
        front = [i for i in left if not any(dominates(values[j], values[i]) for j in left)]
        expected.update(dict.fromkeys(front, rank))
        left, rank = [i for i in left if i not in front], rank + 1
    found = constrained_ranks(values[:, 1:], values[:, 0])
    assert found.tolist() == [expected[i] for i in range(len(values))]


def test_crowding_by_hand() -> None:
    """On a line from (0, 4) to (4, 0): each member's neighbours span a part of both extents of 4."""
    front_nm = np.array([[0, 4], [1, 3], [4, 0], [2, 2], [2, 2]], dtype=float)
    assert crowding(front_nm).tolist() == [np.inf, 2 / 4 + 2 / 4, np.inf, 3 / 4 + 3 / 4, 0]
    assert crowding(np.array([[1.0, 1.0]])).tolist() == [np.inf]


def test_what_keeps_the_limits_survives_first_then_the_lonely() -> None:
    Y_nm = np.array([[0, 4], [1, 3], [4, 0], [2, 2], [5, 5], [0, 0], [-1, -1]], dtype=float)
    violation_n = np.array([0, 0, 0, 0, 0, 0.2, 0.1])
    assert best_first(Y_nm, violation_n).tolist() == [0, 2, 3, 1, 4, 6, 5]


@given(spaces().flatmap(lambda s: st.tuples(st.just(s), points(s), points(s))), st.integers(0, 99))
def test_children_are_legal(drawn: tuple[Space, list[float], list[float]], seed: int) -> None:
    space, a, b = drawn
    rng = np.random.default_rng(seed)
    child_d = Variation(space, crossover=0.9, mutation=1.0).child(space.decode(a), space.decode(b), rng)
    assert np.all((child_d >= 0) & (child_d <= 1))
    space.check(space.decode(child_d))


NUMBERS = Space({f"x{i}": Float(0, 1) for i in range(2000)})


def test_without_mutation_children_lie_about_their_parents() -> None:
    """Simulated binary crossover spreads children as far within as without, so their mean is the parents'."""
    mother, father = NUMBERS.decode(np.full(2000, 0.4)), NUMBERS.decode(np.full(2000, 0.6))
    child_d = Variation(NUMBERS, crossover=1.0, mutation=1e-12).child(mother, father, np.random.default_rng(0))
    crossed_d = child_d[child_d != 0.4]
    assert 0.45 < len(crossed_d) / 2000 < 0.55, "half of the coordinates stay the mother's"
    assert crossed_d.mean() == pytest.approx(0.5, abs=0.01)
    assert np.mean(np.minimum(abs(crossed_d - 0.4), abs(crossed_d - 0.6)) < 0.05) > 0.9


def test_mutation_moves_as_many_parameters_as_said_and_not_far() -> None:
    parent = NUMBERS.decode(np.full(2000, 0.3))
    child_d = Variation(NUMBERS, crossover=0.0, mutation=200.0).child(parent, parent, np.random.default_rng(0))
    moved_d = child_d[child_d != 0.3]
    assert 160 < len(moved_d) < 240
    assert abs(moved_d.mean() - 0.3) < 0.01
    assert 0.01 < abs(moved_d - 0.3).mean() < 0.06


def test_options_come_from_either_parent_and_absent_parameters_from_the_other() -> None:
    space = Space(
        {
            "kind": Choice(["a", "b", "c"]),
            "n": Int(0, 99, when={"kind": "a"}),
            "m": Int(0, 99, when={"kind": "b"}),
        }
    )
    variation = Variation(space, crossover=1.0, mutation=1e-12)
    rng = np.random.default_rng(0)
    children = [space.decode(variation.child({"kind": "a", "n": 7}, {"kind": "b", "m": 70}, rng)) for _ in range(40)]
    assert {tuple(child.items()) for child in children} == {(("kind", "a"), ("n", 7)), (("kind", "b"), ("m", 70))}
