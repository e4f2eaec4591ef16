"""What a run has achieved by when: the noise-free value of its incumbent, judged in two ways.

The incumbent is the configuration and epoch with the best *observed* value; with several objectives, all that no other
observed one dominates. It is judged at the full resource (what its configuration gives when trained to the end, whether
or not it was) and where it was seen (at that epoch). Neither is told to any search. Legend: m objectives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.fidelity.run import Report, Run
from benchmarks.fidelity.tasks import Trained, key
from paretune.pareto import hypervolume

Judged = tuple[float, float]  # at the full resource, and where seen


def line(run: Run, reports: list[Report], *, version: str, wall_s: float) -> dict[str, Any]:
    """What is kept of a run; `best` is [share of the time, at the full resource, where seen], wherever one changes.

    Values of one objective (null for a configuration that diverges in the end), hypervolumes of several. `wall_s` is
    what the run took in real seconds.
    """
    changes = _changes(run, reports)
    epochs = {key(report.config): report.epoch for report in reports}
    return {
        "task": run.task.name,
        "seed": run.seed,
        "version": version,
        "best": [[_short(share), *map(_short, judged)] for share, judged in changes],
        "configs": len(epochs),
        "whole": sum(epoch == run.task.epochs for epoch in epochs.values()),
        "wall_s": round(wall_s, 1),
    }


def _changes(run: Run, reports: Iterable[Report]) -> list[tuple[float, Judged]]:
    judge = _one if run.task.objectives == 1 else _several
    found: list[tuple[float, Judged]] = []
    for time_s, judged in judge(run, reports):
        if not found or judged != found[-1][1]:
            found.append((time_s / run.end_s, judged))
    return found


def _one(run: Run, reports: Iterable[Report]) -> Iterator[tuple[float, Judged]]:
    best = math.inf
    for report in reports:
        trained = run.trained(report.config)
        seen = float(trained.seen_em[report.epoch - 1, 0])
        if seen < best:  # which what has diverged is not
            best = seen
            yield report.time_s, (_at_end(trained), float(trained.true_em[report.epoch - 1, 0]))


def _several(run: Run, reports: Iterable[Report]) -> Iterator[tuple[float, Judged]]:
    reference = np.array(run.task.reference)
    front: list[tuple[np.ndarray[Any, Any], Trained, int]] = []
    for report in reports:
        trained = run.trained(report.config)
        seen_m = trained.seen_em[report.epoch - 1]
        if not np.isfinite(seen_m).all() or any(np.all(other <= seen_m) for other, _, _ in front):
            continue
        front = [entry for entry in front if not np.all(seen_m <= entry[0])]
        front.append((seen_m, trained, report.epoch))
        at_end = np.array([each.true_em[-1] for _, each, _ in front])
        where_seen = np.array([each.true_em[epoch - 1] for _, each, epoch in front])
        finite = np.isfinite(at_end).all(axis=1)
        yield report.time_s, (hypervolume(at_end[finite], reference), hypervolume(where_seen, reference))


def _at_end(trained: Trained) -> float:
    value = float(trained.true_em[-1, 0])
    return value if math.isfinite(value) else math.inf


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
