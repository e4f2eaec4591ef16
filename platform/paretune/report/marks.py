"""What the charts are made of: axes, points, rules, tooltips.

Column names inside a chart are our own (x, y, p0 ...) and never the user's, which may hold anything; those appear as
titles only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import altair as alt

from paretune.log import Log, Trial
from paretune.objective import Objective
from paretune.report import frames, outcomes, text
from paretune.report.scales import Scale
from paretune.study import StudySpec

Chart: TypeAlias = alt.Chart | alt.LayerChart
Row: TypeAlias = dict[str, Any]
Group = Literal["front", "other", "infeasible"]

PLAIN = "format(datum.value, '~g')"
"""An axis label as the number it is; an axis's own `format` rounds to the ticks' precision and turns 10 into 1e+1."""


def chart(rows: Sequence[Row]) -> alt.Chart:
    """A chart of rows, which it holds itself."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def layered(layers: Sequence[Chart]) -> alt.LayerChart:
    """Layers over each other, the last on top."""
    return alt.LayerChart(layer=list(layers))


def quantity(channel: Any, field: str, title: str, scale: Scale) -> Any:
    """A numeric axis on `channel` (alt.X or alt.Y)."""
    ticks = scale.ticks()
    axis = {"tickCount": 5} if ticks is None else {"values": ticks, "labelOverlap": True}
    return channel(
        field=field,
        type="quantitative",
        title=title,
        axis=alt.Axis(labelExpr=PLAIN, **axis),
        scale=_scale(scale),
    )


def _scale(scale: Scale) -> alt.Scale:
    domain = [scale.low, scale.high]
    if scale.log:
        return alt.Scale(type="log", domain=domain, nice=False)
    return alt.Scale(type="linear", domain=domain, nice=False, zero=False)


def counted(count: int) -> Any:
    """A horizontal axis from the first to the last of `count` trials, in `x`."""
    return alt.X(
        field="x",
        type="quantitative",
        title="completed trials",
        axis=alt.Axis(format="d", tickMinStep=1, tickCount=min(count, 6), grid=False),
        scale=alt.Scale(domain=[0.5, count + 0.5], nice=False, zero=False),
    )


def points(rows: Sequence[Row], tips: Sequence[alt.Tooltip], **encodings: Any) -> list[Chart]:
    """A layer of points for each group among the rows, the front last so that it lies on top."""
    layers: list[Chart] = []
    groups: tuple[Group, ...] = ("infeasible", "other", "front")
    for group in groups:
        part = [row for row in rows if row["group"] == group]
        if part:
            layer = chart(part).mark_point(style=group, filled=group != "infeasible", cursor="pointer")
            layers.append(layer.encode(tooltip=list(tips), **encodings))
    return layers


def rule(value: float, axis: Literal["x", "y"], style: str) -> Chart:
    """A line across the chart where `axis` has the value."""
    channel = (alt.X if axis == "x" else alt.Y)(field=axis, type="quantitative")
    line: alt.Chart = chart([{axis: value}]).mark_rule(style=style).encode(channel)
    return line


def limits(objective: Objective, scale: Scale, axis: Literal["x", "y"] = "y") -> list[Chart]:
    """A line at the objective's limit, if it has one that the axis shows."""
    shown = objective.limit is not None and scale.holds(objective.limit)
    return [rule(objective.limit, axis, "limit")] if shown and objective.limit is not None else []


def groups(spec: StudySpec, log: Log) -> dict[int, Group]:
    """Which group of points each completed trial belongs to."""
    found: dict[int, Group] = {trial.id: "infeasible" for trial in outcomes.completed(spec, log)}
    found |= {trial.id: "other" for trial in outcomes.feasible(spec, log)}
    found |= {trial.id: "front" for trial in outcomes.front(spec, log)}
    return found


def labels(spec: StudySpec, trial: Trial) -> Row:
    """What `tips` shows of a trial: its number, its objectives, what is limited, its whole configuration."""
    metrics = {f"m{i}": text.number(trial.metrics[name]) for i, name in enumerate(spec.objectives.required)}
    parameters = {
        f"p{i}": text.value(trial.config[name]) if name in trial.config else text.ABSENT
        for i, name in enumerate(spec.space)
    }
    return {"trial": trial.id, **metrics, **parameters}


def tips(spec: StudySpec) -> list[alt.Tooltip]:
    """The tooltip over `labels`; a title that stood twice would show one of the two only."""
    names = frames.columns(spec, Log())
    metrics = [tip(f"m{i}", names.metrics[name]) for i, name in enumerate(spec.objectives.required)]
    return [
        tip("trial", "trial"),
        *metrics,
        *(tip(f"p{i}", names.parameters[name]) for i, name in enumerate(spec.space)),
    ]


def tip(field: str, title: str) -> alt.Tooltip:
    """One line of a tooltip."""
    return alt.Tooltip(field=field, type="nominal", title=title)
