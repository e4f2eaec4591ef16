"""The adapter's side of the conversation, as in benchmarks/optimizers/adapters/_serve.py, with epochs.

start  {space, objectives, epochs, workers, seed, options}  -> {version}
ask    {}                                  -> {id, config, until}   train it up to that epoch; id null: nothing now
report {id, epoch, values, seconds}        -> {go_on}               after every epoch that did not diverge
tell   {id, epoch, values or null, seconds} -> {}                   the job has ended: as asked, as told, or diverged

`seconds` is the time that the configuration was trained for from its beginning. A configuration that is asked for again
goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.optimizers.adapters._serve import Result, Session, plain
from benchmarks.optimizers.spaces import Config, Space

REDUCTION = 3
"""Every search keeps one in three at each of its rungs, the first of which is the first epoch."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a search is told before it begins; `objectives` values are to be minimised."""

    space: Space
    objectives: int
    epochs: int
    workers: int
    seed: int
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Progress(Result):
    """How far a job has come."""

    epoch: int
    seconds: float


class Adapter(Protocol):
    """One search. A token is whatever the adapter needs to know its own suggestion again."""

    def ask(self) -> tuple[Any, Config, int] | None: ...
    def report(self, token: Any, progress: Progress) -> bool: ...
    def tell(self, token: Any, progress: Progress) -> None: ...


def serve(make: Callable[[Problem], Adapter], package: str) -> None:
    """Answer requests until told to quit; `package` is the distribution whose version is reported."""
    _Session(make, package).serve()


class _Session(Session):
    def start(self, *, space: Any, **fields: Any) -> dict[str, Any]:
        return self._begin(Problem(space=Space.from_data(space), **fields))

    def ask(self) -> dict[str, Any]:
        asked = self._adapter.ask()
        if asked is None:
            return {"id": None}
        token, config, until = asked
        number = len(self._asked)
        self._asked[number] = token, config
        return {"id": number, "config": {name: plain(value) for name, value in config.items()}, "until": until}

    def report(self, *, id: int, **fields: Any) -> dict[str, Any]:
        return {"go_on": self._adapter.report(self._asked[id][0], _progress(**fields))}

    def tell(self, *, id: int, **fields: Any) -> dict[str, Any]:
        self._adapter.tell(self._asked[id][0], _progress(**fields))
        return {}


def _progress(*, epoch: int, values: list[float] | None, seconds: float) -> Progress:
    return Progress(values=values, metrics={}, feasible=values is not None, epoch=epoch, seconds=seconds)
