"""constraints.txt: complete, exact, and nothing in it that nobody needs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
PINS = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in LINES}

# What `pip install --editable` asks hatchling for at build time, beside hatchling itself.
EDITABLE = ["editables"]


def wanted() -> list[Requirement]:
    lines = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
        *EDITABLE,
    ]
    return [Requirement(line) for line in lines]


def closure() -> dict[str, list[Requirement]]:
    """Everything that the project needs here, directly or not, by name, with the requirements that ask for it."""
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = wanted()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(requirement)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in requires(name) or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return found


def test_every_line_is_an_exact_public_version() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []
    assert len(PINS) == len(LINES)
    assert list(PINS) == sorted(PINS)


def test_the_pins_are_the_closure() -> None:
    try:
        needed = closure()
    except PackageNotFoundError as error:
        pytest.skip(f"needs the development environment, made by `make setup`: {error} is not installed")
    # torch's CUDA libraries come with its CUDA build, which pins them itself
    names = {name for name in needed if not name.startswith(("nvidia-", "cuda-")) and name != "triton"}
    assert names == set(PINS)


def test_the_pins_keep_every_range() -> None:
    for requirement in wanted():
        assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), str(requirement)
