"""Two objectives against each other: every completed trial, the front, and what the front dominates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from paretune.log import Log
from paretune.objective import Objective
from paretune.report import marks, outcomes
from paretune.report.marks import Chart, Row
from paretune.report.scales import Scale, around
from paretune.study import StudySpec


@dataclass(frozen=True, slots=True)
class _Axis:
    """An objective as an axis of the plane; `bound` is its reference, None where it is not known yet."""

    objective: Objective
    scale: Scale
    bound: float | None

    @property
    def far(self) -> float:
        """Where the dominated region ends: at the reference, or at the end of the axis before it."""
        worst = self.scale.high if self.objective.goal == "minimize" else self.scale.low
        return worst if self.bound is None else self.scale.clamp(self.bound)

    def within(self, value: float) -> bool:
        """Whether a value is no worse than `far`."""
        return self.objective.sign * (self.far - value) >= 0

    def encode(self, channel: Any, field: str) -> Any:
        return marks.quantity(channel, field, self.objective.name, self.scale)


def plane(spec: StudySpec, log: Log, over: Objective, along: Objective) -> Chart:
    """`over` upwards, `along` to the right; with no third objective also the front's steps and the reference."""
    group = marks.groups(spec, log)
    rows: list[Row] = [
        {"x": trial.metrics[along.name], "y": trial.metrics[over.name], "group": group[trial.id]}
        | marks.labels(spec, trial)
        for trial in outcomes.completed(spec, log)
    ]
    reference = spec.objectives.natural(outcomes.reference(spec, log))
    x = _axis(along, [row["x"] for row in rows], reference[along.name])
    y = _axis(over, [row["y"] for row in rows], reference[over.name])
    layers: list[Chart] = []
    if len(spec.objectives) == 2:
        layers += _dominated(rows, x, y) + _reference(x, y)
    layers += marks.limits(along, x.scale, "x") + marks.limits(over, y.scale)
    layers += marks.points(rows, marks.tips(spec), x=x.encode(alt.X, "x"), y=y.encode(alt.Y, "y"))
    return marks.layered(layers).properties(width=560, height=380)


def _axis(objective: Objective, values: Sequence[float], bound: float) -> _Axis:
    known = None if math.isnan(bound) else bound
    return _Axis(objective, around(values, also=known), known)


def _dominated(rows: Sequence[Row], x: _Axis, y: _Axis) -> list[Chart]:
    """The front's steps, and the region they dominate shaded."""
    steps = sorted(({"x": r["x"], "y": r["y"]} for r in rows if r["group"] == "front"), key=lambda s: (s["x"], s["y"]))
    if not steps:
        return []
    # From a front point the dominated region reaches towards worse x: to the right when less is better.
    side: Literal["step-after", "step-before"] = "step-after" if x.objective.goal == "minimize" else "step-before"
    position = {"x": x.encode(alt.X, "x"), "y": y.encode(alt.Y, "y")}
    layers: list[Chart] = []
    counted = [step for step in steps if x.within(step["x"]) and y.within(step["y"])]
    if counted:
        last = max(counted, key=lambda step: x.objective.sign * step["x"])
        region = sorted([*counted, {"x": x.far, "y": last["y"]}], key=lambda step: step["x"])
        area = marks.chart([step | {"far": y.far} for step in region]).mark_area(style="gained", interpolate=side)
        layers.append(area.encode(**position, y2=alt.Y2(field="far")))
    layers.append(marks.chart(steps).mark_line(style="best", interpolate=side).encode(**position))
    return layers


def _reference(x: _Axis, y: _Axis) -> list[Chart]:
    """Dashed lines through the reference, each where its axis reaches that far."""
    layers: list[Chart] = []
    if x.bound is not None and x.scale.holds(x.bound):
        layers += [marks.rule(x.bound, "x", "bound"), _label({"x": x.bound}, {"y": alt.value(0)}, dx=-5, align="right")]
    if y.bound is not None and y.scale.holds(y.bound):
        layers += [marks.rule(y.bound, "y", "bound"), _label({"y": y.bound}, {"x": alt.value(0)}, dx=4, align="left")]
    return layers


def _label(place: Row, fixed: dict[str, Any], *, dx: int, align: Literal["left", "right"]) -> Chart:
    channel = alt.X(field="x", type="quantitative") if "x" in place else alt.Y(field="y", type="quantitative")
    upright = "x" in place
    text = marks.chart([place | {"label": "reference"}]).mark_text(
        style="bound-label", align=align, baseline="top" if upright else "bottom", dx=dx, dy=4 if upright else -4
    )
    label: alt.Chart = text.encode(channel, text=alt.Text(field="label", type="nominal"), **fixed)
    return label
