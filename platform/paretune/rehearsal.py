"""Rehearsing a study: `paretune.simulate`. (A module of that name would shadow it.)"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paretune import algorithms, amendments, flow, provenance, running, store, study, warm_start
from paretune.engine.recorder import Recorder
from paretune.flow import Study
from paretune.listener import Listener
from paretune.simulation import Blackbox, Cluster, Faults, report_resources
from paretune.study import StudySpec

SIMULATED = "simulated"
"""What a simulated study has for a training function: nothing that `resume` could run on Ray."""


def simulate(
    spec: StudySpec | Mapping[str, Any] | str | os.PathLike[str],
    blackbox: Blackbox,
    *,
    workers: int = 8,
    reports: Sequence[float] | None = None,
    faults: Faults | None = None,
    suggestion_s: float | Callable[[], float] = 0.0,
    name: str | None = None,
    store: str | os.PathLike[str] | None = None,
    listeners: Sequence[Listener] = (),
) -> Study:
    """Run a study on a virtual clock: same suggestions, decisions and records, no Ray and no training.

    Args:
        spec: a spec, its plain form, or its file; `trainable` may be left out.
        blackbox: `blackbox(config, resource) -> (metrics, seconds)`, the metrics reported at a resource and the seconds
            to get there from the beginning; `study.blackbox()` makes one of a finished study.
        workers: trials at a time, in place of the spec's `concurrency`.
        reports: the resources at which a training reports; by default 1, 2, 3 ... up to the spec's epochs.
        faults: what goes wrong: `paretune.Faults(preemptions=0.01)`.
        suggestion_s: how long computing a suggestion takes, for which free workers may have to wait; a function is
            called after each. Suggestions are then prepared while trials run, as on Ray.
        name: the study's name; `<name of the spec>-simulated` unless given. One that is there already goes on.
        store: where it is kept, in place of the spec's.
        listeners: told of what is recorded.

    Returns:
        The study, stored like any other. Times count from 0 on the virtual clock. Equal arguments give equal logs.

    Raises:
        InputError: something given is wrong; nothing was written.
    """
    spec = _simulated(_spec(spec), workers=workers, name=name, location=store)
    resources = report_resources(spec) if reports is None else tuple(reports)
    running.check(spec)
    spec = warm_start.settled(spec)
    problem = algorithms.problem_of(spec, warm_start.read(spec))
    cluster = Cluster(spec, problem, blackbox, faults=faults or Faults(), reports=resources, suggestion_s=suggestion_s)
    _execute(spec, cluster, listeners)
    return flow.load(spec.name, store=spec.store)


def _spec(given: StudySpec | Mapping[str, Any] | str | os.PathLike[str]) -> StudySpec:
    if isinstance(given, StudySpec):
        return given
    if isinstance(given, Mapping):
        return study.build({"trainable": SIMULATED, **given}, where="simulate")
    return study.load(Path(given))


def _simulated(
    spec: StudySpec, *, workers: int, name: str | None, location: str | os.PathLike[str] | None
) -> StudySpec:
    changes = {
        "name": name or f"{spec.name}-{SIMULATED}",
        "trainable": SIMULATED,
        "search": {"concurrency": workers},
        **({} if location is None else {"store": os.fspath(location)}),
    }
    return spec.with_changes(changes)


def _execute(spec: StudySpec, cluster: Cluster, listeners: Sequence[Listener]) -> None:
    """Open the log for writing, let the cluster run, close it with the reason."""
    if not store.exists(spec.store, spec.name):
        store.create(spec, provenance.collect())
    with store.Writer(spec.store, spec.name) as writer:
        log = writer.stored.log
        cluster.now_s = log.entries[-1].time_s if log.entries else 0.0
        recorder = Recorder(log, writer, listeners, clock=lambda: cluster.now_s)
        running.recorded(
            lambda: cluster.run(recorder),
            recorder,
            spec,
            changes=amendments.changes(writer.stored.spec, spec),
            details={"simulated": True},
            listeners=listeners,
        )
