"""The charts' axes, and what the plane of two objectives says about dominance."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from paretune.log import Log
from paretune.report import charts, marks, outcomes
from paretune.report.scales import LOG_RATIO, around
from paretune.study import StudySpec, build

finite = st.floats(allow_nan=False, allow_infinity=False)
Goals = dict[str, Any]


def study(objectives: Goals, *pairs: tuple[float, float], parameter: str = "lr") -> tuple[StudySpec, Log]:
    """A completed trial for each pair of the objectives' values."""
    data = {
        "name": "small",
        "trainable": "cnn",
        "objectives": objectives,
        "space": {parameter: {"type": "float", "low": 0.0, "high": 1.0}},
    }
    write = synthetic.Writer()
    for trial, values in enumerate(pairs):
        write.complete(trial, {parameter: 0.5}, dict(zip(objectives, values, strict=False)))
    return build(data, where="test"), write.log


def layer(chart: dict[str, Any], style: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The layer of a style, and its data."""
    (found,) = (entry for entry in chart["layer"] if entry["mark"].get("style") == style)
    return found, chart["datasets"][found.get("data", chart.get("data"))["name"]]


# -- axes ----------------------------------------------------------------------------------------------------------


@given(st.lists(finite, min_size=1, max_size=6), st.none() | finite)
def test_an_axis_is_finite_and_rising_whatever_it_shows(values: list[float], also: float | None) -> None:
    scale = around(values, also=also)
    assert math.isfinite(scale.low)
    assert math.isfinite(scale.high)
    assert scale.low < scale.high
    assert scale.low > 0 or not scale.log
    assert all(scale.holds(tick) for tick in scale.ticks() or [])


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-250), min_size=1, max_size=6))
def test_an_axis_shows_every_value(values: list[float]) -> None:
    scale = around(values)
    assert all(scale.low < value < scale.high for value in values)


def test_an_axis_is_logarithmic_where_values_span_decades() -> None:
    assert around([1.0, LOG_RATIO]).log
    assert not around([1.0, 0.99 * LOG_RATIO]).log
    assert not around([0.0, 1000.0]).log
    assert not around([-1.0, 1000.0]).log
    assert around([1e-5, 1e-1]).ticks() == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert around([2.0, 10.0], log=True).ticks() == [2, 3, 5, 7, 10]
    assert around([1.0, 2.0]).ticks() is None


def test_a_far_reference_does_not_squeeze_the_data() -> None:
    assert around([1.0, 3.0], also=3.5).holds(3.5)
    assert around([1.0, 3.0], also=100.0) == around([1.0, 3.0])


# -- the plane -----------------------------------------------------------------------------------------------------


def test_the_shaded_region_is_what_the_front_dominates() -> None:
    """Both minimised, reference (4, 8) on speed and error: steps go right and up from each point of the front."""
    goals = {"error": {"goal": "minimize", "reference": 8.0}, "speed": {"goal": "minimize", "reference": 4.0}}
    spec, log = study(goals, (6.0, 1.0), (2.0, 3.0), (7.0, 3.5))
    (panel,) = charts.front(spec, log)
    area, region = layer(charts.vega_lite(panel.chart), "gained")
    assert area["mark"]["interpolate"] == "step-after"
    assert [(row["x"], row["y"], row["far"]) for row in region] == [(1, 6, 8), (3, 2, 8), (4, 2, 8)]
    covered = sum((right["x"] - left["x"]) * (left["far"] - left["y"]) for left, right in pairwise(region))
    assert covered == outcomes.hypervolume(spec, log) == 10.0


def test_the_shaded_region_of_a_maximised_objective_reaches_down_to_its_reference() -> None:
    goals = {"error": {"goal": "minimize", "reference": 8.0}, "speed": {"goal": "maximize", "reference": 1.0}}
    spec, log = study(goals, (2.0, 2.0), (6.0, 4.0), (7.0, 1.5))
    (panel,) = charts.front(spec, log)
    area, region = layer(charts.vega_lite(panel.chart), "gained")
    assert area["mark"]["interpolate"] == "step-before"
    covered = sum((right["x"] - left["x"]) * (right["far"] - right["y"]) for left, right in pairwise(region))
    assert covered == outcomes.hypervolume(spec, log) == 10.0


def test_points_are_grouped_by_what_they_are_worth() -> None:
    goals = {"error": "minimize", "speed": {"goal": "maximize", "limit": 1.0}}
    spec, log = study(goals, (2.0, 2.0), (3.0, 1.5), (1.0, 0.5), (2.0, 2.0))
    assert marks.groups(spec, log) == {0: "front", 1: "other", 2: "infeasible", 3: "front"}
    (panel,) = charts.front(spec, log)
    chart = charts.vega_lite(panel.chart)
    shown = {style: [row["trial"] for row in layer(chart, style)[1]] for style in ("front", "other", "infeasible")}
    assert shown == {"front": [0, 3], "other": [1], "infeasible": [2]}


def test_a_tooltip_tells_a_parameter_from_a_metric_of_the_same_name() -> None:
    spec, log = study({"trial": "minimize", "error": "minimize"}, (1.0, 2.0), (2.0, 1.0), parameter="error")
    (panel,) = charts.front(spec, log)
    points, _ = layer(charts.vega_lite(panel.chart), "front")
    titles = [tip["title"] for tip in points["encoding"]["tooltip"]]
    assert titles == ["trial", "metric.trial", "metric.error", "error"]
    assert marks.labels(spec, log.trials[1]) == {"trial": 1, "m0": "2", "m1": "1", "p0": "0.5"}


@pytest.mark.parametrize(
    "name", ["ends with \\", "two\nlines", "a\u2028b", 'say "lr"', "\\n", '\\"', "datum['x']", "${1}"]
)
def test_a_name_cannot_break_the_expressions_that_hold_it(name: str) -> None:
    spec, log = study({name: "minimize", "error": "minimize"}, (1.0, 2.0), (2.0, 1.0), parameter=name + "p")
    (panel,) = charts.front(spec, log)
    drawn = vl_convert.vegalite_to_svg(charts.vega_lite(panel.chart))
    assert drawn.count('aria-roledescription="point"') == 2


def test_options_stand_in_the_order_of_the_space() -> None:
    options = ["zeta", "b", "alpha", "10", "9"]
    space = {"kind": {"type": "choice", "options": options}}
    data = {"name": "small", "trainable": "cnn", "objectives": {"error": "minimize"}, "space": space}
    spec = build(data, where="test")
    write = synthetic.Writer()
    for trial, option in enumerate(["9", "alpha", "zeta"]):
        write.complete(trial, {"kind": option}, {"error": 0.5})
    (panel,) = charts.parameter_effects(spec, write.log, spec.objectives[0])
    svg = vl_convert.vegalite_to_svg(charts.vega_lite(panel.chart) | {"width": 500})
    places = re.findall(r'transform="translate\(([\d.]+),[^>]*>(zeta|b|alpha|10|9)<', svg)
    assert [option for _, option in sorted(places, key=lambda place: float(place[0]))] == options


# -- learning curves -----------------------------------------------------------------------------------------------


def test_long_curves_are_thinned_and_keep_their_last_report() -> None:
    spec, _ = study({"error": "minimize"})
    write = synthetic.Writer()
    write.start(0, {"lr": 0.5})
    for step in range(1, 30_001):
        write.report(0, {"error": 1 / step})
    (panel,) = charts.learning_curves(spec, write.log)
    _, drawn = layer(charts.vega_lite(panel.chart), "curve")
    assert 8 <= len(drawn) <= 12_000
    assert drawn[-1]["x"] == 30_000
    assert [row["x"] for row in drawn] == sorted(row["x"] for row in drawn)


def test_a_metric_that_came_once_has_no_curve() -> None:
    spec, log = study({"error": "minimize", "speed": "maximize"}, (0.5, 1.0), (0.25, 2.0))
    assert charts.learning_curves(spec, log) == []


def test_the_fronts_curves_lie_on_top() -> None:
    spec = synthetic.spec(trials=6)
    log = synthetic.log(spec, ending="completed")
    panel = charts.learning_curves(spec, log)[0]
    chart = charts.vega_lite(panel.chart)
    assert [entry["mark"]["style"] for entry in chart["layer"]] == ["curve", "front-curve"]
    chosen = {trial.id for trial in outcomes.front(spec, log)}
    assert {row["trial"] for row in layer(chart, "front-curve")[1]} == chosen
