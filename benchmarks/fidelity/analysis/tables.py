"""Markdown tables of a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.fidelity.analysis import scores
from benchmarks.fidelity.analysis.scores import SHARES, WAYS, Board
from benchmarks.fidelity.references import WORKERS
from benchmarks.optimizers.analysis import bootstrap
from benchmarks.optimizers.analysis.tables import markdown

OURS = "gp+asha"

_FINE = [step / 100 for step in range(1, 101)]  # of the time

_INTRODUCTION = """# Searches that end trials early, compared

![Regret against time](fidelity.png)

Written by `make bench-fidelity` from `benchmarks/fidelity/results/`; `benchmarks/fidelity/README.md` says what the
tasks are and how it is run. Arms with a + are paretune's, an algorithm and a scheduler; the others are other libraries.

Mean normalised regret after 25, 50 and 100 % of the time: 0 is the best known, 1 what random search reaches in the
median at the end when it trains every configuration to the end; each run is clipped at 2. In brackets 95 % bootstrap
intervals over seeds with the tasks fixed. *Rank* is the mean over tasks of the rank by regret among the arms that have
run all tasks, two at a time on the seeds that both have."""


def document(folder: Path) -> str:
    """The whole report of a results folder."""
    parts = [_INTRODUCTION]
    for workers in WORKERS:
        for objectives, name in ((1, "one objective"), (2, "two objectives (hypervolume)")):
            parts += _section(folder, workers, objectives, f"{workers} workers, {name}")
    return "\n\n".join(parts) + "\n"


def _section(folder: Path, workers: int, objectives: int, title: str) -> Iterator[str]:
    boards = {way: scores.board(folder, workers, objectives, way) for way in WAYS}
    if not boards[WAYS[0]].complete():
        return
    yield f"## {title}"
    for way, board in boards.items():
        yield f"Judged {way}:"
        yield _means(board)
    yield "Task by task, at the end and at the full resource:"
    yield _per_task(boards[WAYS[0]])
    fine = scores.board(folder, workers, objectives, WAYS[0], _FINE)
    if OURS in fine.complete():
        yield _overtaking(fine)


def _means(board: Board) -> str:
    ranks = [board.ranks(share) for share in range(len(SHARES))]
    rows = []
    for arm in board.complete():
        of_arm = board.of(arm)
        low_k, high_k = bootstrap.interval(of_arm)
        cells = [_spread(*each) for each in zip(bootstrap.mean(of_arm), low_k, high_k, strict=True)]
        counts = sorted({len(task) for task in of_arm})
        seeds = " to ".join(map(str, sorted({counts[0], counts[-1]})))
        rows.append([_bold(arm), *cells, *(f"{rank[arm]:.1f}" for rank in ranks), seeds])
    shares = [f"{share:.0%}" for share in SHARES]
    return markdown(["", *shares, *(f"rank, {share}" for share in shares), "seeds"], rows)


def _per_task(board: Board) -> str:
    """The mean regret at the end, also of arms that have run only some of the tasks."""

    def cell(arm: str, task: str) -> str:
        by_seed = board.regrets[arm].get(task)
        return f"{np.mean([regret_k[-1] for regret_k in by_seed.values()]):.2f}" if by_seed else ""

    arms = [*board.complete(), *sorted(set(board.regrets) - set(board.complete()))]
    rows = [[_bold(arm), *(cell(arm, task.name) for task in board.tasks)] for arm in arms]
    return markdown(["", *(task.name for task in board.tasks)], rows)


def _overtaking(board: Board) -> str:
    """By when our mean regret is no more than another arm's at the end."""
    ours_k = bootstrap.mean(board.of(OURS))
    rows = []
    for arm in board.complete():
        there = np.flatnonzero(ours_k <= bootstrap.mean(board.of(arm))[-1])
        if arm != OURS:
            rows.append([_bold(arm), f"{board.shares[there[0]]:.0%}" if len(there) else "not reached"])
    return markdown([f"{OURS} is where this one ends", "after this much of the time"], rows)


def _spread(mean: float, low: float, high: float) -> str:
    return f"{mean:.2f}" if np.isnan(low) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _bold(arm: str) -> str:
    return f"**{arm}**" if "+" in arm else arm
