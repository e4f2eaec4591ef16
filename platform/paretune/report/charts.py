"""The report's charts, as Altair charts without colours: `theme` dresses them, `page` lays them out, `save` writes one.

Each function returns panels, none where there is nothing to draw.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from paretune.errors import InputError
from paretune.log import Log, Trial
from paretune.objective import Objective
from paretune.parameters import Choice, Parameter
from paretune.report import frames, marks, outcomes, text, theme
from paretune.report.marks import Chart, Row
from paretune.report.plane import plane
from paretune.report.scales import around
from paretune.study import StudySpec

_ENDINGS = (".png", ".svg")
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\u2028\u2029]")  # control characters and line separators
_MAX_PAIRED = 4  # objectives drawn against each other: six pairs
_MAX_CURVES = 4  # metrics with a panel of learning curves
_MAX_CURVE_POINTS = 12_000  # in one panel; beyond it curves are thinned so that the page stays small


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart and what it is about."""

    title: str
    chart: Chart


def front(spec: StudySpec, log: Log) -> list[Panel]:
    """The completed trials in objective space with the Pareto front.

    One objective: its value trial by trial with the best so far. Two: one plane, the front joined by its steps and the
    dominated region shaded up to the reference. More: one plane for each pair of the first four.
    """
    if not outcomes.completed(spec, log):
        return []
    if len(spec.objectives) == 1:
        return best_so_far(spec, log)
    shown = list(spec.objectives)[:_MAX_PAIRED]
    pairs = [(over, along) for i, over in enumerate(shown) for along in shown[i + 1 :]]
    return [Panel(f"{over.name} against {along.name}", plane(spec, log, over, along)) for over, along in pairs]


def best_so_far(spec: StudySpec, log: Log) -> list[Panel]:
    """Each objective's values in order of completion, with the best so far; a panel per objective."""
    table = frames.convergence(spec, log)
    parts = [(objective, _records(table[table["objective"] == objective.name])) for objective in spec.objectives]
    return [Panel(f"Best {o.name}", _best_so_far(spec, log, o, part)) for o, part in parts if part]


def hypervolume(spec: StudySpec, log: Log) -> list[Panel]:
    """The hypervolume in order of completion."""
    rows = [
        {
            "x": r["order"],
            "y": r["hypervolume"],
            "trial": r["trial"],
            "shown": text.number(r["hypervolume"]),
            "elapsed": text.duration(r["elapsed_s"]),
        }
        for r in _records(frames.hypervolume(spec, log))
        if math.isfinite(r["hypervolume"])  # the product of huge extents is not
    ]
    if not rows:
        return []
    y = alt.Y(field="y", type="quantitative", title="hypervolume", axis=alt.Axis(labelExpr=marks.PLAIN, tickCount=5))
    base = marks.chart(rows).encode(x=marks.counted(len(rows)), y=y)
    area = base.mark_area(style="gained", interpolate="step-after")
    line = base.mark_line(style="best", interpolate="step-after")
    tips = [marks.tip("trial", "after trial"), marks.tip("shown", "hypervolume"), marks.tip("elapsed", "elapsed")]
    hover = base.mark_point(style="front", filled=True, opacity=0).encode(tooltip=tips)
    return [Panel("Hypervolume", marks.layered([area, line, hover]))]


def learning_curves(spec: StudySpec, log: Log) -> list[Panel]:
    """What trials reported on their way, the front's trials on top; a panel per metric, objectives first.

    Metrics that no trial reported twice have no curve.
    """
    table = frames.learning_curves(spec, log)
    table = table[table["value"].abs().lt(math.inf).fillna(False)]  # what is not finite has no place on an axis
    if table.empty:
        return []
    longest = table.groupby(["metric", "trial"]).size().groupby("metric").max()
    metrics = [name for name in frames.columns(spec, log).metrics if longest.get(name, 0) > 1][:_MAX_CURVES]
    chosen = {trial.id for trial in outcomes.front(spec, log)}
    title = "resource" if spec.train.epochs is None else "epochs"
    return [Panel(name, _curves(table[table["metric"] == name], name, title, chosen)) for name in metrics]


def parameter_effects(spec: StudySpec, log: Log, objective: Objective) -> list[Panel]:
    """One objective against each parameter, over the completed trials that have it."""
    group = marks.groups(spec, log)
    panels = []
    for name in spec.space:
        done = [trial for trial in outcomes.completed(spec, log) if name in trial.config]
        rows = [_effect(trial, name, objective) | {"group": group[trial.id]} for trial in done]
        if rows:
            panels.append(Panel(name, _effects(rows, name, spec.space[name], objective)))
    return panels


def save(chart: Chart, path: str | Path, *, scale: float = 2.0) -> Path:
    """Write a chart in the light theme as PNG or SVG, by the path's ending; `scale` multiplies a PNG's resolution.

    Raises InputError for any other ending.
    """
    import vl_convert

    path = Path(path)
    if path.suffix not in _ENDINGS:
        found = path.suffix or "no ending"
        raise InputError(f"{path}: a chart's file must end in {' or '.join(_ENDINGS)}, got {found}")
    data = vega_lite(chart)
    data["config"] = theme.vega_config(theme.LIGHT) | {"background": theme.LIGHT.surface, "padding": 16}
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(data), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(data, scale=scale))
    return path


def vega_lite(chart: Chart) -> dict[str, Any]:
    """The chart as Vega-Lite, checked against its schema, without a config and without the schema's address."""
    data: dict[str, Any] = chart.to_dict()
    data.pop("config", None)
    data.pop("$schema", None)
    return {key: value if key == "datasets" else _with_plain_titles(value) for key, value in data.items()}


def _with_plain_titles(part: Any) -> Any:
    """A part of a chart with titles that Vega-Lite can put into an expression: it escapes their quotation marks only.

    A backslash becomes its lookalike, what would end the line a blank.
    """
    if isinstance(part, list):
        return [_with_plain_titles(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _UNSPEAKABLE.sub(" ", value).replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")
        if key == "title" and isinstance(value, str)
        else _with_plain_titles(value)
        for key, value in part.items()
    }


def _best_so_far(spec: StudySpec, log: Log, objective: Objective, part: Sequence[Row]) -> Chart:
    group = marks.groups(spec, log)
    rows = [
        {
            "x": r["order"],
            "y": r["value"],
            "best": None if pd.isna(r["best"]) else r["best"],
            "group": group[r["trial"]],
        }
        | marks.labels(spec, log.trials[r["trial"]])
        for r in part
    ]
    scale = around([row["y"] for row in rows], also=objective.limit)
    x = marks.counted(len(rows))
    known = [row for row in rows if row["best"] is not None]
    layers: list[Chart] = []
    if known:
        line = marks.chart(known).mark_line(style="best", interpolate="step-after")
        layers.append(line.encode(x=x, y=marks.quantity(alt.Y, "best", objective.name, scale)))
    layers += marks.points(rows, marks.tips(spec), x=x, y=marks.quantity(alt.Y, "y", objective.name, scale))
    return marks.layered([*layers, *marks.limits(objective, scale)])


def _curves(table: pd.DataFrame, metric: str, title: str, chosen: set[int]) -> Chart:
    per_curve = max(8, _MAX_CURVE_POINTS // table["trial"].nunique())
    rows: list[Row] = []
    for _, curve in table.groupby("trial"):
        stride = -(-len(curve) // per_curve)
        thinned = curve.iloc[(len(curve) - 1) % stride :: stride]  # counted from the end: the last report stays
        rows += [{"trial": r["trial"], "x": r["resource"], "y": float(f"{r['value']:.6g}")} for r in _records(thinned)]
    x = alt.X(
        field="x",
        type="quantitative",
        title=title,
        axis=alt.Axis(labelExpr=marks.PLAIN, tickCount=5, tickMinStep=1, grid=False),
        scale=alt.Scale(nice=False, zero=False),
    )
    y = marks.quantity(alt.Y, "y", metric, around([row["y"] for row in rows]))
    detail = alt.Detail(field="trial", type="nominal")
    layers: list[Chart] = []
    for style, part in (
        ("curve", [row for row in rows if row["trial"] not in chosen]),
        ("front-curve", [row for row in rows if row["trial"] in chosen]),
    ):
        if part:
            lines = marks.chart(part).mark_line(style=style, cursor="pointer")
            layers.append(lines.encode(x=x, y=y, detail=detail, tooltip=[marks.tip("trial", "trial")]))
    return marks.layered(layers)


def _effect(trial: Trial, name: str, objective: Objective) -> Row:
    given, metric = trial.config[name], trial.metrics[objective.name]
    return {
        "trial": trial.id,
        "x": given if isinstance(given, int | float) and not isinstance(given, bool) else None,
        "y": metric,
        "shown_x": text.value(given),
        "shown_y": text.number(metric),
        "spread": (trial.id * 0.618034) % 1,  # the golden ratio spreads successive points evenly
    }


def _effects(rows: Sequence[Row], name: str, parameter: Parameter, objective: Objective) -> Chart:
    scale = around([row["y"] for row in rows], also=objective.limit)
    encodings = {"x": _parameter_axis(name, parameter), "y": marks.quantity(alt.Y, "y", objective.name, scale)}
    if isinstance(parameter, Choice):
        inset = alt.Scale(domain=[-0.6, 1.6])  # leaves a gap between the options
        encodings["xOffset"] = alt.XOffset(field="spread", type="quantitative", scale=inset)
    tips = [marks.tip("trial", "trial"), marks.tip("shown_x", name), marks.tip("shown_y", objective.name)]
    return marks.layered([*marks.points(rows, tips, **encodings), *marks.limits(objective, scale)])


def _parameter_axis(name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Choice):
        options = [text.value(option) for option in parameter.options]
        axis = alt.Axis(labelAngle=0, labelLimit=90, labelOverlap=True, grid=False)
        scale = alt.Scale(domain=options)
        return alt.X(field="shown_x", type="nominal", title=name, sort=None, scale=scale, axis=axis)
    log = parameter.log or parameter.step == "power2"
    return marks.quantity(alt.X, "x", name, around([parameter.low, parameter.high], log=log))


def _records(table: pd.DataFrame) -> list[Row]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
