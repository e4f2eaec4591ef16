"""The public names: pinned, importable at no cost, documented."""

from __future__ import annotations

import subprocess
import sys

import pytest

import paretune

NAMES = [
    "ASHA",
    "BOHB",
    "CMAES",
    "GP",
    "PBT",
    "TPE",
    "Choice",
    "Evolution",
    "Faults",
    "Float",
    "Grid",
    "Hyperband",
    "Int",
    "Limit",
    "Median",
    "Normal",
    "Objective",
    "OneEpochTopK",
    "Optimizer",
    "Space",
    "Study",
    "errors",
    "load",
    "search",
    "simulate",
]


def test_the_public_names_are_these() -> None:
    assert paretune.__all__ == NAMES
    assert set(NAMES) <= set(dir(paretune))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(paretune, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Flaot'"):
        _ = paretune.Flaot


def test_importing_paretune_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import paretune; print(*sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in found if "." not in name and name not in sys.stdlib_module_names] == ["paretune"]
