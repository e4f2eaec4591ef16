"""The adapter's side of the conversation: one JSON object per line, a request in, an answer out. Standard library only.

start  {space, objectives, seed, trials, pending, limits, inputs, earlier, given, options}  -> {version}
ask    {}                                                                    -> {id, config}
tell   {id, values or null, metrics, feasible}                               -> {}
add    {results: [{config, values, metrics, feasible}, ...]}                 -> {}   found elsewhere, not asked for
choose {}                                                                    -> {id or null}   the configuration to use
memory {}                                                                    -> {peak_mb}
quit   {}

Every answer carries `cpu_s`, the process's CPU time (all its threads) for the call without reading and writing JSON.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any, Protocol, TextIO

from benchmarks.optimizers.spaces import Config, Limit, Space, limits_from_data


@dataclass(frozen=True, slots=True)
class Problem:
    """What an optimizer is told before it begins; `objectives` values are to be minimised.

    `limits` are upper bounds on metrics; `inputs` are constraints on configurations; `pending` is how many trials are
    under way at a time; `earlier` are studies of the same space, each with its `name`, `configs` and `values`;
    `given` says that observations will be added before the first is asked for; `options` are the adapter's own.
    """

    space: Space
    objectives: int
    seed: int
    trials: int
    pending: int
    limits: Mapping[str, float]
    inputs: list[Limit]
    earlier: list[dict[str, Any]]
    given: bool
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a trial: values are None when it failed; metrics are what limits are on."""

    values: list[float] | None
    metrics: Mapping[str, float]
    feasible: bool


class Adapter(Protocol):
    """One optimizer on one problem. A token is whatever the adapter needs to know its own suggestion again."""

    def ask(self) -> tuple[Any, Config]: ...
    def tell(self, token: Any, config: Config, result: Result) -> None: ...


class Penalty:
    """Values for libraries that know neither failures nor limits: the worst seen so far stands in."""

    def __init__(self, objectives: int) -> None:
        self._worst: list[float] | None = None
        self._objectives = objectives

    def values(self, result: Result) -> list[float]:
        if result.values is not None:
            worst = self._worst or result.values
            self._worst = [max(pair) for pair in zip(worst, result.values, strict=True)]
        if result.feasible and result.values is not None:
            return list(result.values)
        return list(self._worst or [1.0] * self._objectives)


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python one."""
    return value.item() if hasattr(value, "item") else value


def serve(make: Callable[[Problem], Adapter], package: str | None) -> None:
    """Answer requests until told to quit; `package` is the distribution whose version is reported."""
    Session(make, package).serve()


class Session:
    """Requests are its methods."""

    def __init__(self, make: Callable[[Any], Any], package: str | None) -> None:
        self._make, self._package = make, package
        self._adapter: Any = None
        self._asked: dict[int, tuple[Any, Config]] = {}

    def serve(self) -> None:
        """Answer what comes in by standard input, until told to quit."""
        answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # whatever a library prints goes to stderr, not between the answers
        self._run(sys.stdin, answers)

    def _run(self, requests: TextIO, answers: TextIO) -> None:
        for line in requests:
            request = json.loads(line)
            name = request.pop("do")
            if name == "quit":
                return
            began = time.process_time()
            try:
                answer = getattr(self, name)(**request)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"[:500], "trace": traceback.format_exc()[-3000:]}
            answer["cpu_s"] = time.process_time() - began
            answers.write(json.dumps(answer, default=plain) + "\n")
            answers.flush()

    def start(self, *, space: Any, inputs: Any, **fields: Any) -> dict[str, Any]:
        return self._begin(Problem(space=Space.from_data(space), inputs=limits_from_data(inputs), **fields))

    def _begin(self, problem: Any) -> dict[str, Any]:
        _seed_globals(problem.seed)
        self._asked = {}
        self._adapter = None  # frees the run before
        self._adapter = self._make(problem)
        return {"version": installed_version(self._package) if self._package else ""}

    def ask(self) -> dict[str, Any]:
        token, config = self._adapter.ask()
        number = len(self._asked)
        self._asked[number] = token, config
        return {"id": number, "config": {name: plain(value) for name, value in config.items()}}

    def tell(self, *, id: int, **fields: Any) -> dict[str, Any]:
        token, config = self._asked[id]
        self._adapter.tell(token, config, Result(**fields))
        return {}

    def add(self, *, results: list[dict[str, Any]]) -> dict[str, Any]:
        for each in results:
            config = each.pop("config")
            self._adapter.add(config, Result(**each))
        return {}

    def choose(self) -> dict[str, Any]:
        if not hasattr(self._adapter, "choose"):
            return {"id": None}
        chosen = self._adapter.choose()
        found = [number for number, (token, _) in self._asked.items() if token is chosen]
        return {"id": found[0] if found else None}

    def memory(self) -> dict[str, Any]:
        return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _seed_globals(seed: int) -> None:
    """Some libraries draw from the global generators whatever seed they are given."""
    random.seed(seed)
    try:
        import numpy
    except ImportError:
        return
    numpy.random.seed(seed)  # noqa: NPY002
