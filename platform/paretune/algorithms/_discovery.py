"""Finds algorithms by their files."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import cast

from paretune.algorithms._base import Algorithm
from paretune.errors import AlgorithmError, nearest
from paretune.objective import Objectives
from paretune.space import Space

_PACKAGE = "paretune.algorithms"


def names() -> list[str]:
    """The algorithms there are, without importing any."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if not module.name.startswith("_"))


def create(name: str, space: Space, objectives: Objectives, *, seed: int) -> Algorithm:
    """Build an algorithm by its name, importing no other; raises AlgorithmError for a name that is not one."""
    check(name)
    kind = _public_class(importlib.import_module(f"{_PACKAGE}.{name}"))
    return kind(space, objectives, seed=seed)


def check(name: str) -> None:
    """Raise AlgorithmError for a name that is no algorithm's; imports none."""
    if name not in names():
        raise AlgorithmError(f"algorithm: must be one of {', '.join(names())}, got {name!r}", hint=_hint(name))


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
