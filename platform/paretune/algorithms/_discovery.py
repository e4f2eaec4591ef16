"""Finds algorithms by their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._served import Served
from paretune.algorithms._settings import Settings
from paretune.algorithms._succession import Succession
from paretune.catalogue import Catalogue
from paretune.errors import AlgorithmError
from paretune.settings import AlgorithmSpec

_ALGORITHMS: Catalogue[Algorithm] = Catalogue(
    "paretune.algorithms", Path(__file__).parent, noun="algorithm", plain=Settings, error=AlgorithmError
)


def names() -> list[str]:
    """The algorithms there are, without importing any."""
    return _ALGORITHMS.names()


def create(chosen: AlgorithmSpec | Settings | str, problem: Problem) -> Algorithm:
    """Build an algorithm, importing no other; raises AlgorithmError for an unknown name or setting."""
    spec = AlgorithmSpec.model_validate(chosen)
    kind = _ALGORITHMS.kind(spec.name)
    if problem.sources:
        _check_transfers(spec.name, kind)
    given = _ALGORITHMS.settings(spec.name, spec.settings)
    if problem.succession is None:
        algorithm = kind(problem, given)
    else:  # the founders of a population are not judged on their way, for all they know
        founders = kind(replace(problem, rungs=(), succession=None), given)
        algorithm = Succession(founders, problem, problem.succession)
    return Served(algorithm, problem) if problem.first or problem.space.restricted else algorithm


def check(spec: AlgorithmSpec, *, transfers: bool = False) -> None:
    """Raise AlgorithmError for an unknown name or setting, or where it must learn from earlier studies and does not.

    Imports no algorithm unless something is set about it, or it must learn from earlier studies.
    """
    _ALGORITHMS.check(spec.name, spec.settings)
    if transfers:
        _check_transfers(spec.name, _ALGORITHMS.kind(spec.name))


def _check_transfers(name: str, kind: type[Algorithm]) -> None:
    if not getattr(kind, "transfers", False):
        raise AlgorithmError(
            f"algorithm: {name}: must be able to learn from earlier studies for warm_start, and is not",
            hint="use gp, or leave warm_start out",
        )
