"""What the benchmarks' figures have in common: their colours, type and frame."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

INK, MUTED = "#16202e", "#5d6b7e"
_LINE = "#e3e7ed"
_FONT = "Helvetica Neue, Liberation Sans, Arial, sans-serif"


def framed(
    panels: Sequence[alt.LayerChart | alt.FacetChart],
    *,
    title: str,
    subtitle: Sequence[str],
    legend_columns: int,
    label_limit: int,
) -> alt.ConcatChart:
    """Panels in rows of four under one legend; `label_limit` is a legend label's width at most, in pixels."""
    drawn: alt.ConcatChart = (
        alt.concat(*panels, columns=4, spacing=30)
        .resolve_scale(color="shared")
        .properties(padding=22, background="white", title=alt.Title(title, subtitle=list(subtitle)))
        .configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_title(
            anchor="start", fontSize=22, fontWeight=600, color=INK, offset=18, subtitleFontSize=13,
            subtitleColor=MUTED, subtitleLineHeight=18, subtitlePadding=6,
        )
        .configure_axis(
            domain=False, ticks=False, gridColor=_LINE, labelColor=MUTED, labelFontSize=11,
            titleColor=MUTED, titleFontSize=11, titleFontWeight=400, labelPadding=6,
        )
        .configure_legend(
            orient="bottom", labelFontSize=13, labelColor=INK, labelLimit=label_limit, symbolStrokeWidth=3.5,
            title=None, columns=legend_columns, symbolSize=240, columnPadding=26, rowPadding=6, offset=22,
        )
    )  # fmt: skip
    return drawn


def heading(title: str) -> alt.Title:
    """A panel's title."""
    return alt.Title(title, fontSize=14, fontWeight=600, offset=8, color=INK)
