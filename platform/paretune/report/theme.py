"""Every colour and typeface of the report, once for a light and once for a dark screen.

The charts name a *style* (`front`, `other`, `best` ...), never a colour; `vega_config` says what a style looks like.
Blue against grey and vermilion (Okabe and Ito, 2008) stays distinct with every common colour-vision deficiency.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they are for."""

    page: str
    surface: str
    ink: str
    muted: str
    line: str
    accent: str
    accent_soft: str
    other: str
    alert: str
    alert_soft: str


LIGHT = Palette(
    page="#f6f7f9",
    surface="#ffffff",
    ink="#16202e",
    muted="#5d6b7e",
    line="#e3e7ed",
    accent="#0068ad",
    accent_soft="#e4f0f9",
    other="#9aa7b8",
    alert="#b8480a",
    alert_soft="#fbeee6",
)
DARK = Palette(
    page="#0e131b",
    surface="#161d28",
    ink="#e8ecf2",
    muted="#9aa7b8",
    line="#2a3443",
    accent="#5bb2f2",
    accent_soft="#15304a",
    other="#66758a",
    alert="#f39a62",
    alert_soft="#3a2418",
)


def css_variables(palette: Palette) -> str:
    """The palette as CSS declarations: `--accent-soft: #e4f0f9; ...`."""
    return " ".join(f"--{f.name.replace('_', '-')}: {getattr(palette, f.name)};" for f in fields(palette))


def vega_config(palette: Palette) -> dict[str, Any]:
    """The Vega-Lite config that gives charts the palette."""
    text = {"font": FONT, "color": palette.muted, "fontSize": 11}
    return {
        "background": None,
        "font": FONT,
        "padding": 2,
        "view": {"stroke": None},
        "axis": {
            "domain": False,
            "ticks": False,
            "gridColor": palette.line,
            "labelColor": palette.muted,
            "labelFontSize": 11,
            "labelPadding": 6,
            "titleColor": palette.ink,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 10,
        },
        # Vega-Lite asks a style for `color`, never for the `fill` or `stroke` that the colour ends up as
        "style": {
            "front": {"color": palette.accent, "stroke": palette.surface, "strokeWidth": 1.5, "size": 95},
            "other": {"color": palette.other, "stroke": palette.surface, "strokeWidth": 0.5, "size": 42},
            "infeasible": {"color": palette.alert, "strokeWidth": 1.2, "size": 38},
            "best": {"color": palette.accent, "strokeWidth": 2},
            "gained": {"color": palette.accent, "fillOpacity": 0.09},
            "curve": {"color": palette.other, "strokeWidth": 1, "strokeOpacity": 0.55},
            "front-curve": {"color": palette.accent, "strokeWidth": 1.8},
            "bound": {"color": palette.muted, "strokeDash": [4, 4], "strokeWidth": 1},
            "limit": {"color": palette.alert, "strokeDash": [4, 4], "strokeWidth": 1},
            "bound-label": text,
        },
    }
