"""The report: one HTML file that needs nothing else, neither a network nor a server.

page       the file: head, styles, scripts, the sections in order
sections   what each section says
charts     what they show
assets/    page.css and page.js

Vega, Vega-Lite and Vega-Embed are in the file. Its content security policy forbids every load, so a mistake here would
show as a missing chart and never as a request.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from paretune.diagnosis import Diagnosis
from paretune.log import Log
from paretune.records import Provenance
from paretune.report import calibration, charts, sections, theme
from paretune.report.charts import Panel
from paretune.report.html import Html, element, json_script
from paretune.study import StudySpec

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "script-src 'unsafe-inline' 'unsafe-eval'"  # Vega compiles its expressions
)


def write(
    spec: StudySpec, log: Log, provenance: Provenance, path: str | Path, *, diagnosis: Diagnosis | None = None
) -> Path:
    """Write a study's report to `path`, its folder included, and return the path; raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(spec, log, provenance, diagnosis=diagnosis), encoding="utf-8")
    return path


def render(spec: StudySpec, log: Log, provenance: Provenance, *, diagnosis: Diagnosis | None = None) -> str:
    """The report's text; with a diagnosis, also what to expect of the best and how far to trust the model."""
    shelf = _Shelf()
    main = element("main", *_sections(spec, log, provenance, diagnosis, shelf))
    data = {
        "charts": shelf.charts,
        "light": theme.vega_config(theme.LIGHT),
        "dark": theme.vega_config(theme.DARK),
    }
    body = element("body", main, json_script("report-data", data), _script(_vega()), _script(_asset("page.js")))
    return f"<!doctype html>\n{element('html', _head(spec.name), body, lang='en')}\n"


class _Shelf:
    """Collects the charts' data while the sections are made; the page's script draws them into their frames."""

    def __init__(self) -> None:
        self.charts: list[dict[str, Any]] = []

    def frame(self, panel: Panel, *, height: int, caption: bool = True) -> Html:
        """An empty frame of `height` pixels for a chart."""
        spec = charts.vega_lite(panel.chart)
        spec |= {"width": "container", "height": height, "autosize": {"type": "fit-x", "contains": "padding"}}
        self.charts.append(spec)
        return element(
            "figure",
            element("figcaption", panel.title) if caption else None,
            element("div", class_="chart", data_chart=len(self.charts) - 1, style=f"min-height: {height}px"),
            aria_label=panel.title,
        )

    def grid(self, panels: list[Panel], *, height: int, wide: bool = False) -> Html:
        """Frames side by side, as many as fit."""
        frames = [self.frame(panel, height=height, caption=True) for panel in panels]
        return element("div", *frames, class_="grid wide" if wide else "grid")


def _sections(
    spec: StudySpec, log: Log, provenance: Provenance, diagnosis: Diagnosis | None, shelf: _Shelf
) -> list[Html | None]:
    return [
        sections.header(spec, log, provenance),
        sections.tiles(spec, log, diagnosis),
        _front(spec, log, shelf),
        _convergence(spec, log, shelf),
        sections.schedule(spec, log),
        sections.layouts(spec, log),
        _effects(spec, log, shelf),
        _curves(spec, log, shelf),
        None if diagnosis is None else _diagnosis(diagnosis, shelf),
        sections.trials(spec, log),
        sections.failures(log),
        sections.reproduce(spec, provenance),
    ]


def _front(spec: StudySpec, log: Log, shelf: _Shelf) -> Html:
    panels = charts.front(spec, log)
    if not panels:
        return sections.section("front", "Outcome", None, element("p", "No trial has completed yet.", class_="empty"))
    alone = len(panels) == 1
    drawing = shelf.frame(panels[0], height=380, caption=False) if alone else shelf.grid(panels, height=280, wide=True)
    return sections.front(spec, log, drawing)


def _convergence(spec: StudySpec, log: Log, shelf: _Shelf) -> Html | None:
    if len(spec.objectives) == 1:  # the front's chart shows the same
        return None
    panels = [*charts.hypervolume(spec, log), *charts.best_so_far(spec, log)]
    if not panels:
        return None
    note = "How the front grew with every completed trial, and the best value of each objective so far."
    return sections.section("convergence", "Convergence", note, shelf.grid(panels, height=200, wide=True))


def _effects(spec: StudySpec, log: Log, shelf: _Shelf) -> Html | None:
    parts: list[Html] = []
    for objective in spec.objectives:
        panels = charts.parameter_effects(spec, log, objective)
        if panels:
            parts += [element("h3", objective.name), shelf.grid(panels, height=170)]
    if not parts:
        return None
    note = "Every completed trial by the value it had of each parameter."
    return sections.section("effects", "Parameters", note, *parts)


def _curves(spec: StudySpec, log: Log, shelf: _Shelf) -> Html | None:
    panels = charts.learning_curves(spec, log)
    if not panels:
        return None
    note = "What every trial reported on its way; those of the front in colour."
    return sections.section("curves", "Learning curves", note, shelf.grid(panels, height=220, wide=True))


def _diagnosis(diagnosis: Diagnosis, shelf: _Shelf) -> Html | None:
    if not diagnosis.findings:
        return None
    panels = calibration.panels(diagnosis)
    return sections.diagnosis(diagnosis, shelf.grid(panels, height=260, wide=True) if panels else None)


def _head(name: str) -> Html:
    schemes = (
        f":root {{ {theme.css_variables(theme.LIGHT)} --font: {theme.FONT}; }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {theme.css_variables(theme.DARK)} }} }}\n"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{name} \N{MIDDLE DOT} paretune"),
        element("style", Html(schemes + _asset("page.css"))),
    )


def _script(source: str) -> Html:
    return element("script", Html(source))


def _asset(name: str) -> str:
    return (resources.files("paretune.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which makes `vegaEmbed` known; about 0.9 MB."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")
