"""Where constraints hold in the cube: bulk against one by one, and points drawn from the legal part evenly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from paretune import study
from paretune.algorithms._untried import legal_points, uniform_points, untried
from paretune.space import INACTIVE, Choice, Float, Int, Space

MIXED = Space(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "batch": Int(8, 256, step="power2"),
        "accumulate": Int(1, 64, log=True),
        "flag": Choice([True, False]),
        "depth": Int(1, 9, when={"flag": True}),
        "width": Choice([32, 64, 128], when={"depth": [1, 2, 3, 4, 5]}),
        "drop": Float(0, 0.5, step=0.1),
        "free": Float(0, 1),
    },
    ["batch * accumulate <= 1024", "lr * batch <= 1", "depth * width <= 256", "drop + 0.1 * depth <= 0.6"],
)
DISCRETE = Space(
    {
        "b": Int(8, 1024, step="power2"),
        "a": Int(1, 64),
        "f": Choice(["x", "y"]),
        "k": Int(1, 40, log=True, when={"f": "x"}),
        "free": Choice([1, 2]),
    },
    ["b * a == 4096", "k <= a"],
)
SIMPLEX = Space({name: Float(0, 1) for name in "abcdef"}, ["a + b + c + d + e + f <= 0.93"])  # 0.09 % of the cube

LAID_OUT = study.build(
    {
        "name": "laid-out",
        "trainable": "cnn",
        "objectives": {"error": "minimize"},
        "space": {"batch": Int(8, 64), "lr": Float(1e-5, 1.0, log=True), "width": Choice([1, 2])},
        "constraints": ["lr * layout.pipeline <= 2", "width <= batch / 16"],
        "layout": {
            "pipeline": Choice([1, 2, 3, 4]),
            "microbatches": Choice([2, 4, 6, 16]),
            "schedule": Choice(["1f1b", "gpipe", "zerobubble"]),
            "shard": Choice(["ddp", "none"]),
            "stages_per_worker": 2,
            "batch": "batch",
        },
        "train": {"workers": 4},
    },
    where="test",
).space


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([MIXED, DISCRETE, SIMPLEX, LAID_OUT]), st.integers(0, 2**32 - 1))
def test_points_in_bulk_are_as_legal_as_their_configurations(space: Space, seed: int) -> None:
    X_nd = np.random.default_rng(seed).random((50, len(space)))
    assert space.legality.mask(X_nd).tolist() == [space.legal(space.decode(x_d)) for x_d in X_nd]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([MIXED, DISCRETE, SIMPLEX, LAID_OUT]), st.integers(0, 2**32 - 1))
def test_mended_and_pulled_points_are_legal_and_keep_what_no_constraint_concerns(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X_nd = rng.random((20, len(space)))
    anchors_nd = space.legality.mended(X_nd, rng)
    for moved_nd in (anchors_nd, space.legality.pulled(X_nd, anchors_nd[::-1])):
        for x_d in moved_nd:
            space.check(space.decode(x_d))
        whole = space.legality.mask(X_nd)
        assert np.array_equal(moved_nd[whole], X_nd[whole])
        bound = sorted(place for group in space.legality.groups for place in group.places)
        alone = [place for place in range(len(space)) if place not in bound]
        assert np.array_equal(moved_nd[:, alone], X_nd[:, alone])


def test_groups_are_what_constraints_join() -> None:
    assert [group.names for group in MIXED.legality.groups] == [
        ("lr", "batch", "accumulate"),
        ("flag", "depth", "width", "drop"),
    ]
    assert [group.listed for group in MIXED.legality.groups] == [False, True]


def test_a_small_group_is_listed_whole_and_once() -> None:
    (group,) = DISCRETE.legality.groups
    by_hand = [
        (b, a, f, k)
        for b, a, f in itertools.product([64, 128, 256, 512, 1024], range(1, 65), "xy")
        for k in (range(1, 41) if f == "x" else [None])
        if b * a == 4096 and (k is None or k <= a)
    ]
    assert len(group.pool_pk) == len(by_hand)
    assert DISCRETE.cardinality == 2 * len(by_hand)
    configs = list(untried(DISCRETE, set()))
    assert len({DISCRETE.key(config) for config in configs}) == len(configs) == 2 * len(by_hand)
    found = {(c["b"], c["a"], c["f"], c.get("k")) for c in configs}
    assert found == set(by_hand)
    absent = group.pool_pk[:, 3][[DISCRETE.decode([*row, 0.1]).get("k") is None for row in group.pool_pk]]
    assert np.all(absent == INACTIVE)


def test_every_value_of_a_logarithmic_integer_is_gone_through() -> None:
    assert [config["n"] for config in untried(Space({"n": Int(1, 500, log=True)}), set())] == list(range(1, 501))


def drawn(space: Space, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array(list(itertools.islice(legal_points(space, uniform_points(len(space), rng), rng), n)))


def test_random_points_are_uniform_over_a_thousandth_of_the_cube() -> None:
    """The sum of a point of the simplex s <= 0.93 in six dimensions has the distribution function (s / 0.93)^6."""
    X_nd = drawn(SIMPLEX, 300)
    assert kstest((X_nd.sum(axis=1) / 0.93) ** 6, "uniform").pvalue > 0.01
    assert kstest(1 - (1 - X_nd[:, 2] / 0.93) ** 6, "uniform").pvalue > 0.01


def test_a_millionth_is_covered_nearly_evenly() -> None:
    """Beyond the reach of chance the points come from slice sampling; 2e-7 of the cube."""
    tiny = Space({name: Float(0, 1) for name in "abcdef"}, ["a + b + c + d + e + f <= 0.23"])
    X_nd = tiny.legality.mended(np.ones((400, 6)), np.random.default_rng(0))
    assert kstest((X_nd.sum(axis=1) / 0.23) ** 6, "uniform").statistic < 0.12
    assert len(np.unique(X_nd, axis=0)) == 400


def test_listed_combinations_are_drawn_by_their_share_of_the_cube() -> None:
    space = Space({"a": Int(1, 8, log=True), "b": Int(1, 8)}, ["a * b == 8"])
    configs = [space.decode(x_d) for x_d in space.legality.groups[0].draw(4000, np.random.default_rng(0))]
    counted = [sum(config["a"] == a for config in configs) for a in (1, 2, 4, 8)]
    widths = [np.log((a + 0.5) / (a - 0.5)) for a in (1, 2, 4, 8)]
    assert chisquare(counted, np.array(widths) / sum(widths) * 4000).pvalue > 0.01


@pytest.mark.parametrize("space", [MIXED, DISCRETE, SIMPLEX])
def test_equal_spaces_have_equal_pools(space: Space) -> None:
    again = Space(dict(space), [str(constraint) for constraint in space.constraints])
    for a, b in zip(space.legality.groups, again.legality.groups, strict=True):
        assert np.array_equal(a.pool_pk, b.pool_pk)
