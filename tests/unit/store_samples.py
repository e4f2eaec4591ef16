"""A study and log entries for the store's tests."""

from __future__ import annotations

from typing import Any

from paretune.objective import Objectives
from paretune.parameters import Choice, Config, Float, Int
from paretune.records import Entry, Event, Proposal, Provenance, Report, Suggestion
from paretune.space import Space
from paretune.study import StudySpec

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Int(2, 12),
        "optimizer": Choice(("adamw", "sgd")),
        "momentum": Float(0.5, 0.99, when={"optimizer": "sgd"}),
        "amp": Choice((True, False)),
        "norm": Choice(("batch", 1, None, "null", 2.5, True)),
    }
)
CONFIG: Config = {"lr": 0.1 + 0.2, "layers": 3, "optimizer": "sgd", "momentum": 0.9, "amp": False, "norm": None}
PROVENANCE = Provenance(
    created_s=1_700_000_000.123456789, paretune="0.1.0", versions={"torch": "2.13.0"}, git_commit=None, host="here"
)


def spec(location: object, name: str = "cnn", **changes: Any) -> StudySpec:
    fields: dict[str, Any] = {
        "trainable": "cnn",
        "objectives": Objectives.from_dict({"val_error": "minimize", "speed": "maximize"}),
        "space": SPACE,
    }
    return StudySpec(name=name, store=str(location), **{**fields, **changes})


def suggested(position: int, trial: int, **fields: Any) -> Event:
    proposal = Proposal(config={**CONFIG, **fields.pop("config", {})}, origin="model", **fields)
    suggestion = Suggestion(id=trial, proposal=proposal, algorithm="gp", history_position=position, pending=(trial,))
    return Event(position=position, kind="suggested", time_s=1.7e9 + position / 7, trial=trial, suggestion=suggestion)


def event(position: int, kind: Any, trial: int | None = None, **fields: Any) -> Event:
    return Event(position=position, kind=kind, time_s=1.7e9 + position / 7, trial=trial, **fields)


def report(position: int, trial: int, step: int, **metrics: float) -> Report:
    return Report(
        position=position,
        trial=trial,
        attempt=1,
        step=step,
        resource=float(step),
        time_s=1.7e9 + position / 7,
        metrics=metrics or {"val_error": 1 / (trial + step + 1)},
        worker_seconds=0.25,
        checkpoint=f"checkpoints/{trial}/{step}" if step % 2 else None,
    )


def trial_entries(position: int, trial: int, *, reports: int = 3) -> list[Entry]:
    """A trial from its suggestion to its end: `reports + 3` entries."""
    entries: list[Entry] = [suggested(position, trial), event(position + 1, "started", trial, attempt=1)]
    entries += [report(position + 2 + step, trial, step + 1) for step in range(reports)]
    last = {"val_error": 1 / (trial + reports + 1), "speed": float(trial)}
    return [*entries, event(position + 2 + reports, "completed", trial, metrics=last)]


def log_entries(trials: int, *, reports: int = 3) -> list[Entry]:
    entries: list[Entry] = []
    for trial in range(trials):
        entries += trial_entries(len(entries), trial, reports=reports)
    return entries
