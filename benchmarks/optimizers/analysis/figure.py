"""The figure: mean normalised regret against the share of trials, a panel per group, paretune in front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from benchmarks.optimizers.analysis import bootstrap, scores
from benchmarks.optimizers.analysis.scores import Results
from benchmarks.optimizers.analysis.tables import SEQUENTIAL

PANELS = {
    "ml": "Training runs",
    "synthetic": "Closed forms",
    "noisy": "Noisy",
    "conditional": "Conditional",
    "many_dimensions": "20 to 100 dimensions",
    "multi_objective": "Several objectives",
}
_SHARES = tuple(step / 12 for step in range(1, 13))  # every five of sixty trials

_OURS = "#0068ad"
_COLOURS = ("#b8480a", "#3b8f5a", "#8a5fb0", "#c2942b", "#3fa3a8", "#b0527c", "#7a6a53", "#6f7f95")
_GREYS = {"random": "#b4bdc9", "sobol": "#cfd5dd"}
_FONT = "Helvetica Neue, Liberation Sans, Arial, sans-serif"
_SUBTITLE = "Mean normalised regret, lower is better; 1 = random search with all trials. Band: 95 % over seeds."
_INK, _MUTED, _LINE = "#16202e", "#5d6b7e", "#e3e7ed"


def write(folder: Path, target: Path) -> None:
    """Draw the sequential results of a folder as a PNG of about 2,000 x 1,300 pixels."""
    data = pd.DataFrame(list(_rows(scores.load(folder, SEQUENTIAL))))
    png = vl_convert.vegalite_to_png(chart(data).to_dict(), scale=2)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(png)


def _rows(results: Results) -> Iterator[dict[str, Any]]:
    """group, peer, share, mean, low, high; only of peers that have run a whole group."""
    for group, title in PANELS.items():
        by_peer: dict[str, list[scores.Array]] = {}
        chosen = scores.group_tasks(group)
        for task in chosen:
            against = scores.reference(task, [results])
            for peer, regrets in scores.table(results, task, against, _SHARES).items():
                by_peer.setdefault(peer, []).append(regrets)
        for peer, of_tasks in by_peer.items():
            if len(of_tasks) < len(chosen):
                continue
            mean_k = bootstrap.mean(of_tasks)
            low_k, high_k = bootstrap.interval(of_tasks)
            for share, mean, low, high in zip(_SHARES, mean_k, low_k, high_k, strict=True):
                yield {"group": title, "peer": peer, "share": share, "mean": mean, "low": low, "high": high}


def chart(data: pd.DataFrame) -> alt.ConcatChart:
    """Panels in two rows of three under one legend."""
    peers = sorted(data["peer"].unique(), key=lambda peer: (peer not in _OURS_FIRST, peer in _GREYS, peer))
    panels = [_panel(data[data["group"] == title], title, peers) for title in PANELS.values()]
    drawn = [panel for panel in panels if panel is not None]
    whole: alt.ConcatChart = (
        alt.concat(*drawn, columns=3, spacing={"row": 28, "column": 30})
        .resolve_scale(color="shared")
        .properties(
            padding=18,
            background="white",
            title=alt.Title(
                "How good after how many trials",
                subtitle=_SUBTITLE,
            ),
        )
        .configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_title(
            anchor="start", fontSize=20, fontWeight=600, color=_INK, offset=16, subtitleFontSize=13,
            subtitleColor=_MUTED,
        )
        .configure_axis(
            domain=False, ticks=False, gridColor=_LINE, labelColor=_MUTED, labelFontSize=11,
            titleColor=_MUTED, titleFontSize=11, titleFontWeight=400, labelPadding=6,
        )
        .configure_legend(
            orient="bottom", labelFontSize=13, labelColor=_INK, symbolStrokeWidth=3, title=None, columns=8,
            symbolSize=220,
        )
    )  # fmt: skip
    return whole


_OURS_FIRST = ("paretune",)


def _panel(data: pd.DataFrame, title: str, peers: list[str]) -> alt.LayerChart | alt.FacetChart | None:
    if data.empty:
        return None
    ours, theirs = alt.datum.peer == "paretune", alt.datum.peer != "paretune"
    x = alt.X("share:Q", title="share of the trials", axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]))
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(type="sqrt", domainMin=0, nice=True), axis=alt.Axis(tickCount=6))
    colour = alt.Color("peer:N", scale=alt.Scale(domain=peers, range=_range(peers)), sort=peers)
    base = alt.Chart(data, title=alt.Title(title, fontSize=14, fontWeight=600, offset=8, color=_INK))
    band = base.transform_filter(ours).mark_area(opacity=0.16, color=_OURS).encode(x=x, y="low:Q", y2="high:Q")
    others = base.transform_filter(theirs).mark_line(strokeWidth=1.8, opacity=0.9).encode(x=x, y=y, color=colour)
    front = base.transform_filter(ours).mark_line(strokeWidth=4).encode(x=x, y=y, color=colour)
    return alt.layer(band, others, front).properties(width=290, height=220)


def _range(peers: list[str]) -> list[str]:
    """Our blue, greys for what learns nothing, and the rest in turn."""
    rest = iter(_COLOURS * 2)
    return [_OURS if peer == "paretune" else _GREYS.get(peer) or next(rest) for peer in peers]
