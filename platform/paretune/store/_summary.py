"""One line per study, from the events alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import numpy as np

from paretune.errors import ParetuneError
from paretune.objective import Objectives
from paretune.records import Status
from paretune.store._lease import holder
from paretune.store._location import Folder, studies_in
from paretune.store._reader import Header, exists, read_header, scan
from paretune.store._tables import parsed
from paretune.study import StudySpec
from paretune.winners import contends

State = Literal["created", "running", "done", "interrupted", "crashed", "unreadable"]
_STATUS: dict[str, Status] = {
    "suggested": "pending",
    "started": "running",
    "paused": "paused",
    "completed": "completed",
    "stopped": "stopped",
    "failed": "failed",
    "diverged": "diverged",
}
_COLUMNS = ["position", "kind", "trial", "reason", "metrics", "details"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A study at a glance.

    `trials` counts trials by status, `budget` is how many are wanted, `best` has the best value of each objective among
    the completed trials that keep every limit. `reason` says why the study ended, or why it is unreadable (then the
    fields below it hold nothing).
    """

    name: str
    state: State
    reason: str | None = None
    created_s: float = 0.0
    trials: Mapping[Status, int] = field(default_factory=dict)
    budget: int = 0
    objectives: Objectives | None = None
    best: Mapping[str, float] = field(default_factory=dict)


def summaries(location: str) -> list[Summary]:
    """The studies of a store in the order of their names; none when the store does not exist.

    Raises StoreLocationError for a store that cannot be listed.
    """
    return [_summary(location, name) for name in studies_in(location) if exists(location, name)]


def _summary(location: str, name: str) -> Summary:
    try:
        header = read_header(location, name)
        rows = scan((header.folder / "events").uri, _COLUMNS).to_pylist()
        return _from_rows(header, sorted(rows, key=lambda row: row["position"]))
    except ParetuneError as error:
        return Summary(name=name, state="unreadable", reason=error.message)


def _from_rows(header: Header, rows: list[dict[str, Any]]) -> Summary:
    statuses: dict[int, Status] = {}
    finished: list[dict[str, float]] = []
    for row in rows:
        if row["trial"] is None or row["kind"] not in _STATUS:
            continue
        statuses[row["trial"]] = _STATUS[row["kind"]]
        if row["kind"] == "completed":
            finished.append(dict(row["metrics"]))
    changes = [parsed(row["details"]) for row in rows if row["kind"] == "amended"]
    spec = reduce(StudySpec.with_changes, changes, header.spec)
    about_study = [row for row in rows if row["kind"] in ("opened", "interrupted", "closed")]
    last = about_study[-1] if about_study else None
    return Summary(
        name=spec.name,
        state=_state(header.folder, last["kind"] if last else None, empty=not rows),
        reason=last["reason"] if last else None,
        created_s=header.provenance.created_s,
        trials=dict(Counter(statuses.values())),
        budget=spec.search.trials,
        objectives=spec.objectives,
        best=_best(spec.objectives, finished),
    )


def _state(folder: Folder, last: str | None, *, empty: bool) -> State:
    if holder(folder) is not None:
        return "running"
    if last == "closed":
        return "done"
    if last == "interrupted":
        return "interrupted"
    return "created" if empty else "crashed"


def _best(objectives: Objectives, completed: Sequence[Mapping[str, float]]) -> dict[str, float]:
    kept = [metrics for metrics in completed if contends("completed", metrics, objectives)]
    if not kept:
        return {}
    return objectives.natural(np.min([objectives.minimized(metrics) for metrics in kept], axis=0))
