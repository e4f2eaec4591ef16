"""The steps of a run: what is checked before it, its log opened and closed, how it is told that all failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paretune import algorithms, amendments, loading, provenance, schedulers, stopping, store
from paretune.earlier import Source
from paretune.errors import SpecError, StudyExistsError, StudyFailedError
from paretune.listener import Listener
from paretune.loading import TrainFunction
from paretune.log import Log
from paretune.study import StudySpec

if TYPE_CHECKING:
    from paretune.engine.data import Made
    from paretune.engine.recorder import Recorder
    from paretune.engine.session import Session


def check(spec: StudySpec) -> None:
    """Raise InputError for what can be known to be wrong before anything heavy is imported."""
    algorithms.check(spec.search.algorithm, transfers=spec.search.warm_start is not None)
    schedulers.check(spec)
    _check_same(spec)
    store.check_writable(spec.store)


def with_data(function: TrainFunction, spec: StudySpec, given: Any, config: Any, base: Path | None) -> TrainFunction:
    """The training function together with the datasets that are given, or that the spec names; else as it is."""
    if given is None and spec.datasets is None:
        return function
    from paretune.engine.data import WithData

    if isinstance(function, WithData):
        if given is None:
            return function
        function = function.train
    if given is None:
        assert spec.datasets is not None
        if spec.datasets.made_by is None:
            raise SpecError("datasets: the study was given its datasets", hint="give them again: datasets={...}")
        given = loading.resolve(spec.datasets.made_by, base=base)
    return WithData(function, given, config)


def settle_data(spec: StudySpec, function: TrainFunction) -> tuple[StudySpec, Made]:
    """The spec with what its datasets hold on record, and the datasets; raises DataError where they have changed."""
    if spec.datasets is None:
        return spec, {}
    from paretune.engine import data

    assert isinstance(function, data.WithData)
    return data.settled(spec, function)


def finished(spec: StudySpec) -> bool:
    """Whether a rule has ended it, or all trials are there and have ended."""
    if not store.exists(spec.store, spec.name):
        return False
    log = store.read(spec.store, spec.name).log
    return stopping.reason(spec, log) is not None or (spec.search.trials <= len(log.trials) == len(log.history))


def on_ray(
    spec: StudySpec,
    *,
    placed: StudySpec,
    sources: tuple[Source, ...],
    function: TrainFunction,
    datasets: Made,
    gpus: float,
    session: Session,
    listeners: Sequence[Listener],
) -> str:
    """Let the engine run trials; returns why it ended.

    `placed` and `gpus` are what the engine's `place` makes of the spec, `datasets` what `settle_data` found.
    """
    from paretune.engine import run as engine
    from paretune.engine.recorder import Recorder

    ingest = None
    if datasets:
        from paretune.engine import data

        assert isinstance(function, data.WithData)
        ingest, function = data.ingest(function, datasets, placed, gpus=gpus), function.train
    code = loading.pickle(function)
    here = provenance.collect()
    found = {"host": here.host, "commit": here.git_commit, "versions": here.versions, "gpus_per_worker": gpus}
    with store.Writer(spec.store, spec.name) as writer:
        recorder = Recorder(writer.stored.log, writer, listeners)

        def work() -> str | None:
            return engine.execute(
                placed,
                sources=sources,
                code=code,
                folder=writer.stored.folder,
                gpus=gpus,
                recorder=recorder,
                session=session,
                ingest=ingest,
            )

        changes = amendments.changes(writer.stored.spec, spec)
        return recorded(work, recorder, placed, changes=changes, details=found, listeners=listeners)


def recorded(
    work: Callable[[], str | None],
    recorder: Recorder,
    spec: StudySpec,
    *,
    changes: Mapping[str, Any],
    details: Mapping[str, Any],
    listeners: Sequence[Listener],
) -> str:
    """Work on a study, with its begin, what has changed about it and its end on record; returns why it ended."""
    recorder.event("opened", details=details)
    if changes:
        recorder.event("amended", details=changes)
    for listener in listeners:
        listener.on_start(spec, recorder.log)
    reason = "broken"
    try:
        reason = work() or "completed"
    except KeyboardInterrupt:
        reason = "interrupted"
        raise
    finally:
        recorder.event("interrupted" if reason in ("interrupted", "broken") else "closed", reason=reason)
        recorder.flush()
        for listener in listeners:
            listener.on_end()
    return reason


def all_failed(name: str, log: Log) -> StudyFailedError:
    """What to raise where no trial came to anything: the first failure, in full."""
    first = next(trial for trial in log.ended if trial.status == "failed")
    return StudyFailedError(
        f"the first {len(log.ended)} trials all failed; trial {first.id}: {first.reason}"
        + (f"\n\n{first.traceback.rstrip()}" if first.traceback else ""),
        hint=f"mend the training function, then go on with: paretune resume {name}",
    )


def _check_same(spec: StudySpec) -> None:
    """A study that exists must be the one that is asked for."""
    if not store.exists(spec.store, spec.name):
        return
    different = amendments.differences(store.read(spec.store, spec.name).spec, spec)
    if different:
        raise StudyExistsError(
            f"study {spec.name}: exists with other settings: {'; '.join(different)}",
            hint="choose another --name, or give it the settings it has",
        )
