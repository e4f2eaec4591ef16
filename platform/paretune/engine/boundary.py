"""The report boundary: what a training loop reports becomes finite floats, an error, or the end of the trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from paretune.errors import ReportError
from paretune.objective import Objectives

EPOCH = "epoch"
"""The metric that says how far a trial is, where nothing else is said."""


def accept(
    metrics: Mapping[str, Any], objectives: Objectives, resource: str | None = None
) -> tuple[dict[str, float], str | None]:
    """The numbers of a report, and why the trial diverged if it did.

    Nested mappings are flattened with "/"; what is not a number (a string, say) is left out. An objective, or a metric
    under a limit, that is not finite ends the trial, so does a standard error; other metrics may be anything.
    `resource` is the metric that the scheduler judges by, where one was named.

    Raises:
        ReportError: an objective, its standard error, a metric under a limit or the resource is missing, or is no
            number; a standard error is negative.
    """
    if not isinstance(metrics, Mapping):
        raise ReportError(f"ray.train.report: metrics must be a mapping, got {type(metrics).__name__}")
    numbers = dict(_numbers(metrics))
    missing = objectives.missing(numbers)
    if resource is not None and not math.isfinite(numbers.get(resource, math.nan)):
        raise ReportError(
            f"ray.train.report: every report must have a finite {resource}, the scheduler's resource, got "
            f"{metrics.get(resource, 'none')!r}",
            hint=f"report {resource}, or leave resource out: then trials are compared by epoch",
        )
    if missing:
        wrong = [name for name in missing if name in metrics]
        found = (
            f"got {wrong[0]}={metrics[wrong[0]]!r}"
            if wrong
            else f"got {', '.join(sorted(map(str, metrics))) or 'none'}"
        )
        raise ReportError(
            f"ray.train.report: every report must have a number for each {_required(objectives)}; "
            f"{', '.join(missing)} missing, {found}",
            hint="report the objectives each time, or name what the loop reports under objectives:",
        )
    negative = objectives.negative(numbers)
    if negative is not None:
        raise ReportError(f"ray.train.report: {negative}", hint="report the standard deviation of the mean, >= 0")
    broken = [f"{name} is {numbers[name]}" for name in objectives.required if not math.isfinite(numbers[name])]
    return numbers, " and ".join(broken) or None


def resource(metrics: Mapping[str, float], step: int, name: str | None = None) -> float:
    """How far the trial is: the metric of that name (its epoch by default), or else the number of its reports."""
    value = metrics.get(name or EPOCH, float(step))
    return value if math.isfinite(value) else float(step)


def unsaved(checkpoint: object, resource: float, saved_by: float | None) -> ReportError | None:
    """The error of a trial that came as far as `saved_by` and has no checkpoint yet; None for any other."""
    if saved_by is None or resource < saved_by or checkpoint is not None:
        return None
    return ReportError(
        f"ray.train.report: other trials are to go on from checkpoints, and there must be one by {saved_by:g}, the end "
        f"of the first interval; there is none at {resource:g}",
        hint="ray.train.report(metrics, checkpoint=...), and begin with ray.train.get_checkpoint()",
    )


def _required(objectives: Objectives) -> str:
    errors = ", each standard error" if objectives.standard_errors else ""
    return "objective" + errors + (" and each metric under a limit" if objectives.limited else "")


def _numbers(metrics: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}/")
            continue
        number = _number(value)
        if number is not None:
            yield name, number


def _number(value: Any) -> float | None:
    """A float for Python, numpy and one-element torch numbers; None for anything else."""
    if isinstance(value, bool | int | float):
        return float(value)
    item = getattr(value, "item", None)
    if item is None or getattr(value, "size", None) is None:
        return None
    try:
        inner = item()
    except (ValueError, RuntimeError):  # an array of more than one element
        return None
    return float(inner) if isinstance(inner, bool | int | float) else None
