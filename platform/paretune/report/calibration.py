"""Charts of what was predicted against what was: on the diagonal the model is right."""

from __future__ import annotations

import altair as alt

from paretune.diagnosis import Diagnosis, ModelCheck
from paretune.report import marks, text
from paretune.report.charts import Panel
from paretune.report.scales import around

_WIDTH = 1.645  # standard deviations on either side of a mean that hold nine tenths


def panels(diagnosis: Diagnosis) -> list[Panel]:
    """Each modelled metric's results against what all others predict of them; none while there is no model."""
    return [Panel(f"{model.metric}, predicted", _panel(model)) for model in diagnosis.models]


def _panel(model: ModelCheck) -> marks.Chart:
    shown = model.left_out
    rows: list[marks.Row] = [
        {
            "trial": trial,
            "group": "other",
            "x": predicted,
            "y": observed,
            "low": predicted - _WIDTH * sd,
            "high": predicted + _WIDTH * sd,
            "predicted": f"{text.number(predicted)} \N{PLUS-MINUS SIGN} {text.number(_WIDTH * sd)}",
            "observed": text.number(observed),
        }
        for trial, predicted, sd, observed in zip(shown.trials, shown.predicted, shown.sd, shown.observed, strict=True)
    ]
    scale = around([*shown.predicted, *shown.observed], log=False)
    for row in rows:
        row["low"], row["high"] = scale.clamp(row["low"]), scale.clamp(row["high"])
    x = marks.quantity(alt.X, "x", "predicted from the others", scale)
    y = marks.quantity(alt.Y, "y", model.metric, scale)
    ends = [{"x": end, "y": end} for end in (scale.low, scale.high)]
    intervals = marks.chart(rows).mark_rule(style="curve")
    tips = [marks.tip("trial", "trial"), marks.tip("predicted", "predicted"), marks.tip("observed", "observed")]
    return marks.layered(
        [
            marks.chart(ends).mark_line(style="bound").encode(x=x, y=y),
            intervals.encode(x=marks.quantity(alt.X, "low", "predicted from the others", scale), x2="high:Q", y=y),
            *marks.points(rows, tips, x=x, y=y),
        ]
    )
