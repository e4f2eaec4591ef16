"""A study as tables: pure data for analysis and for the charts.

trials            one row per trial
convergence       one row per completed trial and objective: the value and the best so far
hypervolume       one row per completed trial
learning_curves   one row per report and metric
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from paretune.log import Log, Trial
from paretune.parameters import Choice, Float, Int, Parameter, Value
from paretune.report import outcomes
from paretune.report.outcomes import best, front
from paretune.study import StudySpec

__all__ = ["Columns", "best", "columns", "convergence", "front", "hypervolume", "learning_curves", "to_arrow", "trials"]

FIXED = ("trial", "status", "resource", "started", "seconds")
"""The columns every study has; a parameter or metric of that name gives way."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The column that each parameter and each metric has in `trials`.

    Normally its own name. Where two would collide, the fixed column keeps it before a parameter and a parameter before
    a metric; the other is prefixed: `parameter.status`, `metric.epochs`.
    """

    parameters: dict[str, str]
    metrics: dict[str, str]


def columns(spec: StudySpec, log: Log) -> Columns:
    """Name the columns of `trials`; objectives, then limited metrics come first, the others as they appeared."""
    taken = set(FIXED)
    parameters = {name: _claim(name, "parameter.", taken) for name in spec.space}
    seen = dict.fromkeys(spec.objectives.required)
    for entry in log.entries:
        seen.update(dict.fromkeys(entry.metrics))
    return Columns(parameters, {name: _claim(name, "metric.", taken) for name in seen})


def trials(spec: StudySpec, log: Log) -> pd.DataFrame:
    """A row per trial, also of those pending or running, in order of their numbers.

    Columns: `trial`, `status`, the parameters, every metric's last value, `resource`, `started` (UTC), `seconds`
    (from its start to its end or last sign of life); `columns` tells the names. All have nullable types, so integers
    stay integers where a value is absent. A parameter that was not active is <NA>, as is a choice's option null; a
    choice between numbers and strings is spelled as in JSON, and integers beyond 64 bits are spelled out.
    """
    names = columns(spec, log)
    rows = [trial for _, trial in sorted(log.trials.items())]
    data: dict[str, Any] = {
        "trial": pd.array([trial.id for trial in rows], dtype="Int64"),
        "status": pd.array([trial.status for trial in rows], dtype="string"),
    }
    for name, column in names.parameters.items():
        data[column] = _parameter_column(spec.space[name], [trial.config.get(name) for trial in rows])
    for name, column in names.metrics.items():
        data[column] = _numbers([trial.metrics.get(name) for trial in rows])
    data["resource"] = _numbers([trial.resource for trial in rows])
    data["started"] = _timestamps([trial.started_s for trial in rows])
    data["seconds"] = _numbers([None if trial.started_s is None else trial.seconds for trial in rows])
    return pd.DataFrame(data)


def to_arrow(spec: StudySpec, log: Log) -> pa.Table:
    """`trials` as an Arrow table; nothing that is absent becomes NaN."""
    return pa.Table.from_pandas(trials(spec, log), preserve_index=False)


def convergence(spec: StudySpec, log: Log) -> pd.DataFrame:
    """How the best value of each objective came down (or up).

    Columns: `objective`, `order` (1 for the trial that completed first), `trial`, `elapsed_s` (seconds worked on the
    study so far), `value`, `best` (of the trials up to this one that keep the limits; <NA> before the first).
    """
    rows: list[dict[str, Any]] = []
    ended = _completion_times(log)
    done = outcomes.completed(spec, log)
    for objective in spec.objectives:
        least = math.inf
        for order, trial in enumerate(done, start=1):
            value = trial.metrics[objective.name]
            if spec.objectives.feasible(trial.metrics):
                least = min(least, objective.sign * value)
            rows.append(
                {
                    "objective": objective.name,
                    "order": order,
                    "trial": trial.id,
                    "elapsed_s": ended[trial.id],
                    "value": value,
                    "best": objective.sign * least if math.isfinite(least) else None,
                }
            )
    types = {"objective": "string", "order": "Int64", "trial": "Int64"}
    return _frame(rows, {**types, "elapsed_s": "Float64", "value": "Float64", "best": "Float64"})


def hypervolume(spec: StudySpec, log: Log) -> pd.DataFrame:
    """The hypervolume after each completed trial, all measured from one reference (`outcomes.reference`).

    Columns: `order`, `trial`, `elapsed_s`, `hypervolume`.
    """
    ended = _completion_times(log)
    volumes = outcomes.hypervolume_history(spec, log).tolist()
    rows = [
        {"order": order, "trial": trial.id, "elapsed_s": ended[trial.id], "hypervolume": volume}
        for order, (trial, volume) in enumerate(zip(outcomes.completed(spec, log), volumes, strict=True), start=1)
    ]
    return _frame(rows, {"order": "Int64", "trial": "Int64", "elapsed_s": "Float64", "hypervolume": "Float64"})


def learning_curves(spec: StudySpec, log: Log, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """What the trials reported on their way; `metrics` restricts it to some.

    Columns: `trial`, `status`, `metric`, `resource`, `step`, `value`. A stretch that a restarted trial went through
    again counts once, as it was the last time.
    """
    rows = [
        {
            "trial": trial.id,
            "status": trial.status,
            "metric": metric,
            "resource": report.resource,
            "step": report.step,
            "value": value,
        }
        for _, trial in sorted(log.trials.items())
        for report in _last_time_through(trial)
        for metric, value in report.metrics.items()
        if metrics is None or metric in metrics
    ]
    types = {"trial": "Int64", "status": "string", "metric": "string"}
    return _frame(rows, {**types, "resource": "Float64", "step": "Int64", "value": "Float64"})


def _claim(name: str, prefix: str, taken: set[str]) -> str:
    while name in taken:
        name = prefix + name
    taken.add(name)
    return name


def _parameter_column(parameter: Parameter, values: Sequence[Value]) -> Any:
    dtype, convert = _column_type(parameter)
    return pd.array([None if value is None else convert(value) for value in values], dtype=dtype)


def _column_type(parameter: Parameter) -> tuple[Any, Callable[[Any], Any]]:
    """The dtype that holds every value of a parameter, and what brings a value into it."""
    if isinstance(parameter, Float):
        return "Float64", float
    if isinstance(parameter, Int):
        return _integer_type([parameter.low, parameter.high])
    assert isinstance(parameter, Choice)
    kinds = {type(option) for option in parameter.options if option is not None}
    if kinds == {bool}:
        return "boolean", bool
    if kinds == {int}:
        return _integer_type([option for option in parameter.options if isinstance(option, int)])
    if kinds and kinds <= {int, float}:
        return "Float64", float
    if kinds <= {str}:
        return "string", str
    return "string", lambda value: value if isinstance(value, str) else json.dumps(value)


def _integer_type(values: Sequence[int]) -> tuple[Any, Callable[[Any], Any]]:
    fits = all(-(2**63) <= value < 2**63 for value in values)
    return ("Int64", int) if fits else ("string", str)


def _numbers(values: Sequence[float | None]) -> Any:
    return pd.array([None if value is None else float(value) for value in values], dtype="Float64")


def _timestamps(values: Sequence[float | None]) -> Any:
    return pd.Series(
        pd.to_datetime(pd.Series([math.nan if v is None else v for v in values], dtype="float64"), unit="s", utc=True)
    ).dt.as_unit("us")


def _frame(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.array([r[name] for r in rows], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]


def _completion_times(log: Log) -> dict[int, float]:
    """Seconds worked on the study when each trial ended."""
    times = zip(log.entries, outcomes.elapsed(log), strict=True)
    return {entry.trial: seconds for entry, seconds in times if entry.trial is not None}


def _last_time_through(trial: Trial) -> list[Any]:
    by_resource = {report.resource: report for report in trial.reports}
    return [by_resource[resource] for resource in sorted(by_resource)]
