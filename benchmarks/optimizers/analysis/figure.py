"""The figure: mean normalised regret against trials, a panel per group, paretune in front.

A dot on paretune's line says after how many trials it is where the best other library ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from benchmarks.optimizers.analysis import bootstrap, looks, scores
from benchmarks.optimizers.analysis.boards import Board, board
from benchmarks.optimizers.analysis.tables import OURS, PENDING, SEQUENTIAL


@dataclass(frozen=True, slots=True)
class Panel:
    """One frame: whose tasks, and how many were under way at a time."""

    title: str
    groups: tuple[str, ...]
    mode: str = SEQUENTIAL


PANELS = (
    Panel("Training runs", ("ml",)),
    Panel("Closed forms", ("synthetic",)),
    Panel("Noisy", ("noisy",)),
    Panel("Conditional", ("conditional",)),
    Panel("Several objectives", ("multi_objective",)),
    Panel("20 to 100 dimensions", ("many_dimensions",)),
    Panel("Eight under way at all times", ("ml", "synthetic", "conditional"), PENDING),
    Panel("Nine tasks, with slow libraries", ("core",)),
)

# Colours stay with a library whoever else is drawn; what learns nothing is grey.
LIBRARIES: Mapping[str, tuple[str, str]] = {
    OURS: ("paretune", "#0068ad"),
    "ax": ("Ax", "#c8401b"),
    "optuna-gp": ("Optuna GP", "#2f8f4e"),
    "optuna-tpe": ("Optuna TPE", "#93c47d"),
    "optuna-tpe-mv": ("Optuna TPE, grouped", "#6aa84f"),
    "optuna-nsga2": ("Optuna NSGA-II", "#b7a35a"),
    "smac": ("SMAC3", "#8a5fb0"),
    "skopt": ("scikit-optimize", "#d9a21b"),
    "hebo": ("HEBO", "#b0527c"),
    "syne-tune": ("Syne Tune", "#2ba6a0"),
    "vizier": ("Vizier", "#7a6a53"),
    "nevergrad": ("Nevergrad", "#e08a5a"),
    "random": ("random", "#a9b2bf"),
    "sobol": ("Sobol", "#ccd3db"),
}

_STEPS = 60  # points of a line: after every trial of sixty
_FROM = 5 / 60  # before that no method has begun to model

_SUBTITLE = [
    "Mean normalised regret, lower is better: 0 = best known, 1 = random search with all trials. Band: 95 %.",
    "Dot: when paretune is where the best other library will end. Libraries have run different numbers of seeds.",
]


def write(folder: Path, target: Path) -> None:
    """Draw a folder's results as a PNG of about 1,900 x 1,100 pixels."""
    loaded = {mode: scores.load(folder, mode) for mode in (SEQUENTIAL, PENDING)}
    shares = [step / _STEPS for step in range(1, _STEPS + 1) if step / _STEPS >= _FROM]
    boards = {panel: board(panel.groups, loaded[panel.mode], list(loaded.values()), shares) for panel in PANELS}
    drawn = chart({panel: pd.DataFrame(rows) for panel, made in boards.items() if (rows := list(_rows(made, shares)))})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(vl_convert.vegalite_to_png(drawn.to_dict(), scale=1.5))


def _rows(made: Board, shares: list[float]) -> Iterator[dict[str, Any]]:
    """peer, trials, mean, low, high; only of libraries that have run all tasks of the panel."""
    trials = max(task.trials for task in made.tasks)
    for peer in made.complete():
        if peer not in LIBRARIES:  # a variant of one, which only the tables show
            continue
        of_peer = made.of(peer)
        low_k, high_k = bootstrap.interval(of_peer)
        for share, mean, low, high in zip(shares, bootstrap.mean(of_peer), low_k, high_k, strict=True):
            yield {"peer": peer, "trials": share * trials, "mean": mean, "low": low, "high": high}


def chart(data: Mapping[Panel, pd.DataFrame]) -> alt.ConcatChart:
    """Panels in rows of four under one legend."""
    known = {peer for rows in data.values() for peer in rows["peer"]}
    peers = [peer for peer in LIBRARIES if peer in known]
    return looks.framed(
        [_panel(rows, panel.title, peers) for panel, rows in data.items()],
        title="How good after how many trials",
        subtitle=_SUBTITLE,
        legend_columns=7,
        label_limit=200,
    )


def _panel(data: pd.DataFrame, title: str, peers: list[str]) -> alt.LayerChart | alt.FacetChart:
    ours, theirs = alt.datum.peer == OURS, alt.datum.peer != OURS
    trials = float(data["trials"].max())
    step = 10 if trials <= 60 else 50
    ticks = list(range(step, round(trials) + 1, step))
    x = alt.X(
        "trials:Q", title="trials", scale=alt.Scale(domain=[0, trials]), axis=alt.Axis(values=ticks, format=".0f")
    )
    scale = alt.Scale(type="sqrt", domain=[0, 1.8], clamp=True)
    y = alt.Y("mean:Q", title=None, scale=scale, axis=alt.Axis(values=[0.01, 0.1, 0.25, 0.5, 1, 1.5], format="~g"))
    names, colours = zip(*(LIBRARIES[peer] for peer in peers), strict=True)
    label = "{" + ", ".join(f"'{peer}': '{name}'" for peer, name in zip(peers, names, strict=True)) + "}"
    colour = alt.Color("library:N", scale=alt.Scale(domain=list(names), range=list(colours)), sort=list(names))
    base = alt.Chart(data, title=looks.heading(title))
    base = base.transform_calculate(library=f"{label}[datum.peer]")
    even = (
        alt.Chart(pd.DataFrame({"mean": [1.0]}))
        .mark_rule(color=looks.MUTED, strokeDash=[3, 3], opacity=0.7)
        .encode(y=y)
    )
    others = base.transform_filter(theirs).mark_line(strokeWidth=1.7, opacity=0.95).encode(x=x, y=y, color=colour)
    band = (
        base.transform_filter(ours)
        .mark_area(opacity=0.16, color=LIBRARIES[OURS][1])
        .encode(x=x, y="low:Q", y2="high:Q")
    )
    front = base.transform_filter(ours).mark_line(strokeWidth=4).encode(x=x, y=y, color=colour)
    layers = [even, band, others, front, *_overtaking(data, x, y)]
    return alt.layer(*layers).properties(width=255, height=215)


def _overtaking(data: pd.DataFrame, x: alt.X, y: alt.Y) -> Iterator[alt.Chart]:
    """A dot where paretune's mean first is no worse than the best other one's last, with the number of trials."""
    last = data[data["trials"] == data["trials"].max()]
    others = last[last["peer"] != OURS]["mean"]
    ours = data[data["peer"] == OURS]
    if others.empty:
        return
    there = ours[ours["mean"] <= others.min()].head(1)
    if there.empty:
        return
    said = there.assign(text=f"{np.ceil(there['trials'].iloc[0]):.0f} trials")
    dot = alt.Chart(said).encode(x=x, y=y)
    yield dot.mark_point(filled=True, size=90, color="white", stroke=LIBRARIES[OURS][1], strokeWidth=2.5, opacity=1)
    yield dot.mark_text(align="right", dx=-9, dy=9, fontSize=12, fontWeight=600, color=LIBRARIES[OURS][1]).encode(
        text="text:N"
    )
