"""Studies that never ran: a spec and a log with plausible trials, for tests of what reads a log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from paretune.log import Log
from paretune.records import Event, Proposal, Provenance, Report, Suggestion
from paretune.study import StudySpec, build

EPOCHS = 5
START_S = 1_767_225_600.0  # 2026-01-01 00:00 UTC
OOM = "RuntimeError: could not allocate 3.2 GB for the activations"
TRACEBACK = f'Traceback (most recent call last):\n  File "train.py", line 41, in train\n    loss = model(x)\n{OOM}\n'

Ending = Literal["mixed", "completed", "failed", "running"]

OBJECTIVES: dict[int, dict[str, Any]] = {
    1: {"val_error": "minimize"},
    2: {"val_error": "minimize", "latency_ms": {"goal": "minimize", "reference": 20.0}},
    3: {"val_error": "minimize", "latency_ms": {"goal": "minimize", "reference": 20.0}, "throughput": "maximize"},
}


def spec(*, objectives: int = 2, trials: int = 24, concurrency: int = 2, **changes: Any) -> StudySpec:
    """A CNN study with one, two or three objectives and a conditional parameter."""
    data = {
        "name": "cnn",
        "trainable": "cnn",
        "objectives": OBJECTIVES[objectives],
        "space": {
            "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True, "default": 1e-3},
            "hidden": {"type": "int", "low": 32, "high": 512, "log": True, "step": "power2"},
            "layers": {"type": "int", "low": 2, "high": 8},
            "optimizer": {"type": "choice", "options": ["adamw", "sgd"]},
            "momentum": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
        },
        "search": {"trials": trials, "concurrency": concurrency},
        "train": {"epochs": EPOCHS},
    }
    return build({**data, **changes}, where="synthetic")


def provenance() -> Provenance:
    """Where the study would have been made."""
    versions = {"python": "3.11.9", "ray": "2.60.0", "torch": "2.13.0"}
    return Provenance(
        created_s=START_S, paretune="0.1.0", versions=versions, git_commit="0123456789abcdef", host="laptop"
    )


class Writer:
    """Appends entries to a log by hand: each method is one thing that happens, at `time_s`."""

    def __init__(self) -> None:
        self.log = Log()
        self.time_s = START_S

    def event(self, kind: Any, trial: int | None = None, **fields: Any) -> None:
        self.log.append(Event(position=self.log.position, kind=kind, time_s=self.time_s, trial=trial, **fields))

    def suggest(self, trial: int, config: Mapping[str, Any]) -> None:
        proposal = Proposal(config=dict(config), origin="initial")
        suggestion = Suggestion(id=trial, proposal=proposal, algorithm="gp", history_position=self.log.position)
        self.event("suggested", trial, suggestion=suggestion)

    def start(self, trial: int, config: Mapping[str, Any]) -> None:
        self.suggest(trial, config)
        self.event("started", trial, attempt=1)

    def report(self, trial: int, metrics: Mapping[str, float], *, seconds: float = 1.0, resource: float = 0) -> None:
        step = self.log.trials[trial].step + 1
        self.log.append(
            Report(
                position=self.log.position,
                trial=trial,
                attempt=self.log.trials[trial].attempt,
                step=step,
                resource=resource or step,
                time_s=self.time_s,
                metrics=dict(metrics),
                worker_seconds=seconds,
            )
        )

    def complete(
        self, trial: int, config: Mapping[str, Any], metrics: Mapping[str, float], *, seconds: float = 1
    ) -> None:
        """A whole trial of one report."""
        self.start(trial, config)
        self.time_s += seconds
        self.report(trial, metrics, seconds=seconds)
        self.event("completed", trial, attempt=1, metrics=dict(metrics))


def log(spec: StudySpec, *, trials: int | None = None, seed: int = 0, ending: Ending = "mixed") -> Log:
    """Play a study with the spec's concurrency.

    `ending` "mixed" lets about one trial in twelve fail and one in forty diverge; "running" breaks off as soon as a
    trial has reported twice.
    """
    writer = Writer()
    for _ in play(spec, writer, trials=trials, seed=seed, ending=ending):
        pass
    return writer.log


def play(
    spec: StudySpec, writer: Writer, *, trials: int | None = None, seed: int = 0, ending: Ending = "mixed"
) -> Iterator[float]:
    """Write the log as the study goes on, yielding the seconds to wait before more of it is written."""
    rng = np.random.default_rng(seed)
    total = spec.search.trials if trials is None else trials
    writer.event("opened")
    running: dict[int, Iterator[float]] = {}
    due: dict[int, float] = {}
    begun = 0
    while begun < total or running:
        while begun < total and len(running) < spec.search.concurrency:
            running[begun] = _trial(spec, writer, begun, rng, ending)
            due[begun] = writer.time_s + next(running[begun])
            begun += 1
        number = min(due, key=lambda n: due[n])
        yield due[number] - writer.time_s
        writer.time_s = due[number]
        if ending == "running" and writer.log.trials[number].step >= 2:
            return
        delay = next(running[number], None)
        if delay is None:
            del running[number], due[number]
        else:
            due[number] += delay
    writer.event("closed", reason="all trials done")


def _trial(spec: StudySpec, writer: Writer, number: int, rng: np.random.Generator, ending: Ending) -> Iterator[float]:
    config = spec.space.decode(rng.random(len(spec.space)))
    luck = {"completed": 0.5, "failed": 0.0}.get(ending, rng.random())
    writer.start(number, config)
    seconds = 0.2 + 0.004 * _width(config) * _depth(config) ** 0.5
    for epoch in range(1, EPOCHS + 1):
        spent = seconds * rng.uniform(0.9, 1.2)
        yield spent
        if luck < 1 / 12 and epoch == 3:
            writer.event("failed", number, attempt=1, reason=OOM, details={"traceback": TRACEBACK})
            return
        if luck > 39 / 40 and epoch == 2:
            writer.event("diverged", number, attempt=1, reason="val_error is nan")
            return
        writer.report(number, _metrics(spec, config, epoch, rng), seconds=spent * spec.train.workers)
    writer.event("completed", number, attempt=1, metrics=dict(writer.log.trials[number].metrics))


def _width(config: Mapping[str, Any]) -> float:
    return float(config.get("hidden", 128))


def _depth(config: Mapping[str, Any]) -> float:
    return float(config.get("layers", 4))


def _metrics(spec: StudySpec, config: Mapping[str, Any], epoch: int, rng: np.random.Generator) -> dict[str, float]:
    """A bowl in log lr, better with width and depth, which cost time; the error falls with the epochs."""
    off = abs(math.log10(float(config.get("lr", 1e-3))) + 2.6)
    capacity = math.log2(_width(config) * _depth(config))
    final = min(
        0.9, 0.008 + 0.035 * off**2 + 0.5 * math.exp(-0.45 * capacity) + (config.get("optimizer") == "sgd") * 0.012
    )
    error = (final + (0.9 - final) * math.exp(-1.3 * epoch)) * rng.uniform(0.95, 1.05)
    latency = (0.4 + 0.0055 * _width(config) * _depth(config)) * rng.uniform(0.97, 1.03)
    known = {"val_error": error, "latency_ms": latency, "throughput": 9000 / latency**0.7 * rng.uniform(0.9, 1.1)}
    return {**{name: known[name] for name in spec.objectives.names}, "train_loss": error * 2.2 * rng.uniform(0.9, 1.1)}
