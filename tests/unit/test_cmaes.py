"""The replay of CMA-ES from a history: what counts, what does not, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretune as pt
from paretune.algorithms._cmaes import options
from paretune.algorithms._cmaes.coordinates import Coordinates, _bin
from paretune.algorithms._cmaes.replay import Beginning, Search, replay
from paretune.algorithms._cmaes.state import State
from paretune.errors import AlgorithmError
from paretune.space import Choice, Config, Float, Int, Space
from strategies import parameters, units

SPACE = Space(
    {
        "x": Float(0, 1),
        "n": Int(1, 4),
        "kind": Choice(["a", "b", "c"]),
        "y": Float(0, 1, when={"kind": "a"}),
    }
)


def beginning(space: Space = SPACE, population: int = 6) -> Beginning:
    coordinates = Coordinates.of(space)
    middle_d = np.full(len(coordinates), 0.5)
    return Beginning(space=space, coordinates=coordinates, mean_d=middle_d, sigma=0.3, population=population, seed=0)


def trials(n: int, space: Space = SPACE) -> tuple[list[Config], list[float]]:
    rng = np.random.default_rng(1)
    configs = [space.decode(rng.random(len(space))) for _ in range(n)]
    return configs, [float(config["x"] or 0) for config in configs]


def same(a: Search, b: Search) -> bool:
    return all(np.array_equal(getattr(a.state, f), getattr(b.state, f)) for f in ("mean_d", "C_dd", "sigma")) and all(
        np.array_equal(a.options[name], b.options[name]) for name in a.options
    )


def test_only_whole_generations_count() -> None:
    configs, scores = trials(17)
    at_12 = replay(beginning(), configs[:12], scores[:12])
    assert same(replay(beginning(), configs, scores), at_12)
    assert at_12.state.generation == 2
    assert not same(replay(beginning(), [*configs, configs[0]], [*scores, 0.0]), at_12)


def test_only_the_order_of_the_scores_counts() -> None:
    configs, scores = trials(12)
    assert same(replay(beginning(), configs, scores), replay(beginning(), configs, [math.exp(9 * s) for s in scores]))


def test_the_better_half_attracts() -> None:
    configs, scores = trials(60)
    search = replay(beginning(), configs, scores)
    assert search.state.mean_d[0] < 0.3, "less x is better"


def test_what_came_to_nothing_is_no_parent() -> None:
    configs, scores = trials(6)
    worst_failed = [s if s < sorted(scores)[3] else math.inf for s in scores]
    assert same(replay(beginning(), configs, scores), replay(beginning(), configs, worst_failed))
    nothing = replay(beginning(), configs, [math.inf] * 6)
    assert same(nothing, beginning().start(0))
    assert same(replay(beginning(), configs, [1.0] * 6), beginning().start(0)), "all alike: nothing is learnt"


def test_a_distribution_that_has_become_a_point_begins_anew_with_twice_the_population() -> None:
    plane = Space({"x": Float(0, 1), "y": Float(0, 1)})
    configs = [{"x": 0.5, "y": 0.5} for _ in range(600)]
    search = replay(beginning(plane), configs, list(range(600)))
    assert search.restarts >= 1
    assert search.population == 6 * 2**search.restarts
    assert search.state.sd_d.max() > 1e-5


@given(parameters, units)
def test_bins_hold_what_decodes_to_one_value(parameter: Any, unit: float) -> None:
    if math.isinf(parameter.cardinality):
        assert _bin(parameter, unit) == (unit, unit)
        return
    low, high = _bin(parameter, unit)
    value, inside = parameter.from_unit(unit), 1e-7 * (high - low)
    assert low - 1e-9 <= unit <= high + 1e-9
    assert parameter.from_unit(low + inside) == parameter.from_unit(high - inside) == value


@pytest.mark.parametrize("mean", [0.1, 0.49, 0.7])
def test_the_margin_leaves_a_bin_once_in_a_generation(mean: float) -> None:
    """However narrow: of n in 1..4 beside one continuous x, one draw in population * d leaves the mean's bin."""
    space = Space({"x": Float(0, 1), "n": Int(1, 4)})
    coordinates = Coordinates.of(space)
    state = State.start(np.array([0.5, mean]), 1e-4)
    spread_d = coordinates.spread(state, population=6)
    assert spread_d[0] == 1
    draws = mean + 1e-4 * spread_d[1] * np.random.default_rng(0).standard_normal(20_000)
    low, high = _bin(space["n"], mean)
    left = np.mean(((draws < low) & (low > 0)) | ((draws > high) & (high < 1)))
    assert left == pytest.approx(1 / 12, rel=0.1)


@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=3), st.integers(1, 60))
def test_options_stay_a_distribution_in_which_nothing_dies_out(best: list[str], generations: int) -> None:
    probabilities = options.even(SPACE)
    configs: list[Config] = [{"x": 0.5, "n": 1, "kind": kind} for kind in best]
    for _ in range(generations):
        probabilities = options.moved(SPACE, probabilities, configs, np.array([0.6, 0.3, 0.1]))
    p = probabilities["kind"]
    assert p.sum() == pytest.approx(1)
    assert p.min() >= (1 - 0.73) / 2 - 1e-9
    assert p.argmax() == np.argmax(
        [sum(w for k, w in zip(best, [0.6, 0.3, 0.1], strict=True) if k == c) for c in "abc"]
    )


def test_walls_reflect() -> None:
    coordinates = Coordinates.of(SPACE)
    assert coordinates.values(np.array([1.1, -0.2, 0.3])) == pytest.approx({"x": 0.9, "n": 0.2, "y": 0.3})


@pytest.mark.parametrize(
    ("space", "objectives", "message"),
    [
        ({"x": pt.Float(0, 1)}, {"a": "minimize", "b": "minimize"}, "algorithm: cmaes: needs one objective, got 2"),
        ({"k": pt.Choice(["a", "b"])}, {"a": "minimize"}, "needs a parameter with an order"),
    ],
)
def test_what_it_cannot_serve_is_refused(space: Any, objectives: Any, message: str) -> None:
    with pytest.raises(AlgorithmError, match=message) as caught:
        pt.Optimizer(space, objectives, algorithm="cmaes")
    assert caught.value.hint is not None
