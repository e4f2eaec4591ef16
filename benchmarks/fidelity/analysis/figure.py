"""The figure: mean normalised regret against virtual time, a panel for each kind of task and for each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from benchmarks.fidelity import tasks
from benchmarks.fidelity.analysis import scores
from benchmarks.fidelity.analysis.scores import WAYS, Board
from benchmarks.fidelity.analysis.tables import OURS
from benchmarks.optimizers.analysis import bootstrap, looks
from benchmarks.optimizers.analysis.scores import CLIP

# Colours stay with an arm whoever else is drawn; what learns nothing from results is grey.
ARMS: Mapping[str, tuple[str, str]] = {
    OURS: ("paretune gp + asha", "#0068ad"),
    "bohb+asha": ("paretune bohb + asha", "#5aa9d6"),
    "tpe+asha": ("paretune tpe + asha", "#7fb8a4"),
    "syne-bohb": ("Syne Tune BOHB", "#2ba6a0"),
    "syne-asha-cqr": ("Syne Tune ASHA CQR", "#186a66"),
    "syne-asha-bore": ("Syne Tune ASHA BORE", "#6b8f3a"),
    "dehb": ("DEHB", "#c8401b"),
    "smac-hyperband": ("SMAC3", "#8a5fb0"),
    "optuna-tpe-hyperband": ("Optuna TPE, Hyperband", "#d9a21b"),
    "random+asha": ("random + asha", "#3c4654"),
    "syne-asha": ("Syne Tune ASHA", "#7d8896"),
    "syne-moasha": ("Syne Tune MO-ASHA", "#7d8896"),
    "gp+none": ("paretune gp, whole trainings", "#b0527c"),
    "random+one_epoch_topk": ("one epoch, then the best", "#ccb9a0"),
    "random+none": ("random, whole trainings", "#c3cad3"),
}

_SHARES = np.geomspace(0.02, 1.0, 40).tolist()

_SUBTITLE = [
    "Mean normalised regret at the full resource, lower is better: 0 = best known, 1 = random search with whole "
    "trainings at the end. Band: 95 %.",
    "The time is that in which each worker could train four average configurations to the end.",
]


def write(folder: Path, target: Path) -> None:
    """Draw a folder's results as a PNG of about 1,900 x 1,400 pixels."""
    one, two = scores.board(folder, 8, 1, WAYS[0], _SHARES), scores.board(folder, 8, 2, WAYS[0], _SHARES)
    boards = {
        "8 workers, one objective": one,
        "64 workers, one objective": scores.board(folder, 64, 1, WAYS[0], _SHARES),
        "8 workers, two objectives": two,
        "64 workers, two objectives": scores.board(folder, 64, 2, WAYS[0], _SHARES),
        **{task.name: _alone(one, task) for task in tasks.tasks().values() if task.objectives == 1},
    }
    data = {title: pd.DataFrame(rows) for title, board in boards.items() if (rows := list(_rows(board)))}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(vl_convert.vegalite_to_png(chart(data).to_dict(), scale=1.5))


def _alone(board: Board, task: tasks.CurveTask) -> Board:
    """The same board for one task."""
    regrets = {arm: {task.name: by[task.name]} for arm, by in board.regrets.items() if task.name in by}
    return Board([task], board.shares, regrets)


def _rows(board: Board) -> Iterator[dict[str, Any]]:
    """arm, share, mean, low, high; only of known arms that have run all tasks of the board."""
    for arm in board.complete():
        if arm not in ARMS:  # a variant of one, which only the tables show
            continue
        of_arm = board.of(arm)
        low_k, high_k = bootstrap.interval(of_arm)
        for share, mean, low, high in zip(board.shares, bootstrap.mean(of_arm), low_k, high_k, strict=True):
            yield {"arm": arm, "share": share, "mean": mean, "low": low, "high": high}


def chart(data: Mapping[str, pd.DataFrame]) -> alt.ConcatChart:
    """Panels in rows of four under one legend."""
    known = {arm for rows in data.values() for arm in rows["arm"]}
    arms = [arm for arm in ARMS if arm in known]
    return looks.framed(
        [_panel(rows, title, arms) for title, rows in data.items()],
        title="How good after how much time",
        subtitle=_SUBTITLE,
        legend_columns=6,
        label_limit=220,
    )


def _panel(data: pd.DataFrame, title: str, arms: list[str]) -> alt.LayerChart | alt.FacetChart:
    names, colours = zip(*(ARMS[arm] for arm in arms), strict=True)
    data = data.assign(name=[ARMS[arm][0] for arm in data["arm"]])
    ticks = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0]
    x = alt.X(
        "share:Q",
        title="share of the time",
        scale=alt.Scale(type="log", domain=[ticks[0], 1.0]),
        axis=alt.Axis(values=ticks, format=".0%"),
    )
    scale = alt.Scale(type="sqrt", domain=[0, CLIP], clamp=True)
    y = alt.Y("mean:Q", title=None, scale=scale, axis=alt.Axis(values=[0.02, 0.1, 0.25, 0.5, 1, 1.5], format="~g"))
    colour = alt.Color("name:N", scale=alt.Scale(domain=list(names), range=list(colours)), sort=list(names))
    base = alt.Chart(data, title=looks.heading(title))
    ours = base.transform_filter(alt.datum.arm == OURS)
    even = (
        alt.Chart(pd.DataFrame({"mean": [1.0]}))
        .mark_rule(color=looks.MUTED, strokeDash=[3, 3], opacity=0.7)
        .encode(y=y)
    )
    others = base.transform_filter(alt.datum.arm != OURS).mark_line(strokeWidth=1.7).encode(x=x, y=y, color=colour)
    band = ours.mark_area(opacity=0.16, color=ARMS[OURS][1]).encode(x=x, y="low:Q", y2="high:Q")
    front = ours.mark_line(strokeWidth=4).encode(x=x, y=y, color=colour)
    return alt.layer(even, band, others, front).properties(width=255, height=205)
