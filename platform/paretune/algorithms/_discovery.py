"""Finds algorithms by their files."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import cast

from pydantic import ValidationError

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._served import Served
from paretune.algorithms._settings import Settings
from paretune.errors import AlgorithmError, nearest
from paretune.study import AlgorithmSpec

_PACKAGE = "paretune.algorithms"


def names() -> list[str]:
    """The algorithms there are, without importing any."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if not module.name.startswith("_"))


def create(chosen: AlgorithmSpec | Settings | str, problem: Problem) -> Algorithm:
    """Build an algorithm, importing no other; raises AlgorithmError for an unknown name or setting."""
    spec = AlgorithmSpec.model_validate(chosen)
    kind = _kind(spec.name)
    if problem.sources:
        _check_transfers(spec.name, kind)
    algorithm = kind(problem, _settings(spec, kind))
    return Served(algorithm, problem) if problem.first or problem.space.constraints else algorithm


def check(spec: AlgorithmSpec, *, transfers: bool = False) -> None:
    """Raise AlgorithmError for an unknown name or setting, or where it must learn from earlier studies and does not.

    Imports no algorithm unless something is set about it, or it must learn from earlier studies.
    """
    if spec.name not in names():
        raise AlgorithmError(
            f"algorithm: must be one of {', '.join(names())}, got {spec.name!r}", hint=_hint(spec.name)
        )
    if spec.settings:
        _settings(spec, _kind(spec.name))
    if transfers:
        _check_transfers(spec.name, _kind(spec.name))


def _check_transfers(name: str, kind: type[Algorithm]) -> None:
    if not getattr(kind, "transfers", False):
        raise AlgorithmError(
            f"algorithm: {name}: must be able to learn from earlier studies for warm_start, and is not",
            hint="use gp, or leave warm_start out",
        )


def _kind(name: str) -> type[Algorithm]:
    check(AlgorithmSpec(name=name))
    return _public_class(importlib.import_module(f"{_PACKAGE}.{name}"))


def _settings(spec: AlgorithmSpec, kind: type[Algorithm]) -> Settings:
    fields: type[Settings] = getattr(kind, "Settings", Settings)
    try:
        return fields.model_validate(dict(spec.settings))
    except ValidationError as error:
        raise _readable(error, spec.name, fields) from None


def _readable(error: ValidationError, name: str, fields: type[Settings]) -> AlgorithmError:
    """The most telling of pydantic's complaints, in our form."""
    first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = list(fields.model_fields)
        hint = nearest(path[-1], known) if known else f"{name} has no settings"
        return AlgorithmError(f"algorithm: {name}: unknown setting {path[-1]!r}", hint=hint)
    message = first["msg"].removeprefix("Value error, ")
    return AlgorithmError(
        f"algorithm: {': '.join([name, *path])}: {message[0].lower()}{message[1:]}, got {first['input']!r}"
    )


def _hint(name: object) -> str | None:
    hint = nearest(name, names())
    return hint if hint is not None and hint.startswith("did you mean") else None  # the message lists them all


def _public_class(module: ModuleType) -> type[Algorithm]:
    found = [
        value
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not key.startswith("_")
    ]
    if len(found) != 1:
        raise AlgorithmError(f"{module.__name__}: must define one public class, found {len(found)}")
    return cast("type[Algorithm]", found[0])
