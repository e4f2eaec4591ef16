"""The tables' schemas, and the way of a log entry into a row and exactly back.

Each time stands twice: `time` for people and SQL, `time_s` because a timestamp's microseconds are coarser than a float.
Structures of no fixed form are JSON: a surrogate's hyperparameters, an event's details, and in their column, because a
suggestion has none, what else its proposal holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from paretune.records import Event, Proposal, Report, Suggestion
from paretune.store._columns import ConfigColumns

SCHEMA_VERSION = 1
"""Kept in the table `study`, in a column that every version has; raised by any change that old code would misread."""

_NUMBERS = pa.map_(pa.string(), pa.float64())
_TIME = pa.timestamp("us", tz="UTC")

STUDY = pa.schema(
    {
        "schema_version": pa.int64(),
        "name": pa.string(),
        "spec": pa.string(),
        "created": _TIME,
        "created_s": pa.float64(),
        "paretune": pa.string(),
        "versions": pa.map_(pa.string(), pa.string()),
        "git_commit": pa.string(),
        "host": pa.string(),
    }
)

REPORTS = pa.schema(
    {
        "position": pa.int64(),
        "time": _TIME,
        "time_s": pa.float64(),
        "trial": pa.int64(),
        "attempt": pa.int64(),
        "step": pa.int64(),
        "resource": pa.float64(),
        "worker_seconds": pa.float64(),
        "checkpoint": pa.string(),
        "metrics": _NUMBERS,
    }
)


def events_schema(columns: ConfigColumns) -> pa.Schema:
    """The schema of `events`; the columns from `config` on are null unless something was suggested."""
    return pa.schema(
        {
            "position": pa.int64(),
            "time": _TIME,
            "time_s": pa.float64(),
            "kind": pa.string(),
            "trial": pa.int64(),
            "attempt": pa.int64(),
            "reason": pa.string(),
            "metrics": _NUMBERS,
            "details": pa.string(),
            "config": columns.type,
            "origin": pa.string(),
            "algorithm": pa.string(),
            "acquisition": pa.float64(),
            "mean": _NUMBERS,
            "sd": _NUMBERS,
            "fit": pa.string(),
            "history_position": pa.int64(),
            "pending": pa.list_(pa.int64()),
            "seconds": pa.float64(),
        }
    )


def table_configuration() -> dict[str, str]:
    """The Delta properties of a study's tables.

    A superseded data file or log entry is kept for minutes, not Delta's days: readers need no longer, and commits get
    slower with what is kept. The maintenance writes checkpoints; the interval is the net below it.
    """
    return {
        "delta.dataSkippingStatsColumns": "position",  # Delta's statistics are JSON, which has no inf or nan
        "delta.logRetentionDuration": "interval 1 minutes",
        "delta.deletedFileRetentionDuration": "interval 10 minutes",
        "delta.checkpointInterval": "1000",
    }


def event_row(event: Event, columns: ConfigColumns) -> dict[str, Any]:
    """The row of an event. Raises ValueError for a suggestion that is not the event's trial's, or one with details."""
    row = {
        "position": event.position,
        "time": microseconds(event.time_s),
        "time_s": event.time_s,
        "kind": event.kind,
        "trial": event.trial,
        "attempt": event.attempt,
        "reason": _text(event.reason),
        "metrics": dict(event.metrics),
        "details": _json(event.details),
    }
    if event.suggestion is None:
        return row
    if event.suggestion.id != event.trial:
        raise ValueError(f"event: trial must be the suggestion's {event.suggestion.id}, got {event.trial}")
    if event.details:
        raise ValueError(f"event: a suggestion has no details, got {event.details!r}")
    return row | _suggestion_fields(event.suggestion, columns)


def _suggestion_fields(suggestion: Suggestion, columns: ConfigColumns) -> dict[str, Any]:
    proposal = suggestion.proposal
    return {
        "config": columns.encode(proposal.config),
        "origin": proposal.origin,
        "algorithm": suggestion.algorithm,
        "acquisition": proposal.acquisition,
        "mean": None if proposal.mean is None else dict(proposal.mean),
        "sd": None if proposal.sd is None else dict(proposal.sd),
        "fit": _json(proposal.fit),
        "details": _json({**({"notes": dict(proposal.notes)} if proposal.notes else {}), "fit_s": proposal.fit_s}),
        "history_position": suggestion.history_position,
        "pending": list(suggestion.pending),
        "seconds": suggestion.seconds,
    }


def event_of(row: Mapping[str, Any], columns: ConfigColumns) -> Event:
    """The event that `event_row` was given."""
    suggestion = None if row["algorithm"] is None else _suggestion_of(row, columns)
    return Event(
        position=row["position"],
        kind=row["kind"],
        time_s=row["time_s"],
        trial=row["trial"],
        attempt=row["attempt"],
        suggestion=suggestion,
        metrics=dict(row["metrics"]),
        reason=row["reason"],
        details={} if suggestion else parsed(row["details"]),
    )


def _suggestion_of(row: Mapping[str, Any], columns: ConfigColumns) -> Suggestion:
    rest = parsed(row["details"])
    proposal = Proposal(
        config=columns.decode(row["config"]),
        origin=row["origin"],
        acquisition=row["acquisition"],
        mean=None if row["mean"] is None else dict(row["mean"]),
        sd=None if row["sd"] is None else dict(row["sd"]),
        fit=parsed(row["fit"]),
        notes=rest.get("notes", {}),
        fit_s=rest.get("fit_s", 0.0),
    )
    return Suggestion(
        id=row["trial"],
        proposal=proposal,
        algorithm=row["algorithm"],
        history_position=row["history_position"],
        pending=tuple(row["pending"]),
        seconds=row["seconds"],
    )


def report_row(report: Report) -> dict[str, Any]:
    """The row of a report."""
    return {
        "position": report.position,
        "time": microseconds(report.time_s),
        "time_s": report.time_s,
        "trial": report.trial,
        "attempt": report.attempt,
        "step": report.step,
        "resource": report.resource,
        "worker_seconds": report.worker_seconds,
        "checkpoint": report.checkpoint,
        "metrics": dict(report.metrics),
    }


def report_of(row: Mapping[str, Any]) -> Report:
    """The report that `report_row` was given."""
    return Report(
        position=row["position"],
        trial=row["trial"],
        attempt=row["attempt"],
        step=row["step"],
        resource=row["resource"],
        time_s=row["time_s"],
        metrics=dict(row["metrics"]),
        worker_seconds=row["worker_seconds"],
        checkpoint=row["checkpoint"],
    )


def microseconds(time_s: float) -> int:
    """A time as Arrow's timestamps count it."""
    return round(time_s * 1e6)


def _json(value: Mapping[str, Any]) -> str | None:
    return json.dumps(value) if value else None


def parsed(text: str | None) -> dict[str, Any]:
    """The mapping that a JSON column holds."""
    value: dict[str, Any] = json.loads(text) if text else {}
    return value


def _text(text: str | None) -> str | None:
    """An error's message may hold surrogates (an undecodable file name), which no UTF-8 column takes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
