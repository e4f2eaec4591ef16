"""Running a study on Ray: build what Tune needs, let it run, leave nothing behind."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ray import tune

from paretune import algorithms, schedulers
from paretune.earlier import Source
from paretune.engine import ahead, checkpoints, gangs
from paretune.engine.brain import Brain
from paretune.engine.course import Course
from paretune.engine.messages import Setup
from paretune.engine.recorder import Recorder
from paretune.engine.resources import concurrent_trials, gpus_per_worker
from paretune.engine.session import Session
from paretune.engine.trial_actor import TrialActor
from paretune.engine.tune_adapters import (
    GangPool,
    StudyCallback,
    StudyScheduler,
    StudySearcher,
    StudyStopper,
)
from paretune.study import StudySpec

if TYPE_CHECKING:
    from paretune.engine.data import Ingest

_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # five files per trial that nobody reads: the store has it all
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours records the interrupt first
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # Tune's own state is never restored: the log is the only memory
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a user's loop mean what they mean outside
}


def place(spec: StudySpec, session: Session, *, datasets: int = 0) -> tuple[StudySpec, float]:
    """The spec with its concurrency cut to what the cluster can place, and the GPUs of each worker.

    Each of the datasets needs a CPU to be read with beside a trial's workers, unless `train: data_cpus` says otherwise.

    Raises:
        ResourceError: not even one trial can be placed.
    """
    gpus = gpus_per_worker(spec.train, session.nodes, concurrency=spec.search.concurrency)
    data_cpus = 0.0 if datasets == 0 else spec.train.data_cpus or float(datasets)
    fits = concurrent_trials(spec.train, session.nodes, gpus=gpus, data_cpus=data_cpus)
    if fits < spec.search.concurrency:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"concurrency": fits})})
    return spec, gpus


def execute(
    spec: StudySpec,
    *,
    sources: tuple[Source, ...],
    code: bytes,
    folder: str,
    gpus: float,
    recorder: Recorder,
    session: Session,
    ingest: Ingest | None = None,
) -> str | None:
    """Run trials until the budget is used up; returns why it stopped before that, if it did.

    `spec` is a placed one (see `place`), `sources` what it learns from. Raises what broke the recorder, after
    everything has been stopped.
    """
    problem = algorithms.problem_of(spec, sources)
    setup = Setup(
        study=spec.name,
        code=code,
        path=tuple(sys.path),
        objectives=spec.objectives,
        constants=spec.constants(),
        folder=folder,
        workers=spec.train.workers,
        min_workers=spec.train.min_workers,
        cpus=spec.train.cpus,
        gpus=gpus,
        resource=schedulers.settings(spec.search.scheduler).resource,
        saved_by=problem.rungs[0] if problem.succession is not None else None,
        retries=spec.train.retries,
        hang_s=spec.train.hang_s,
        fresh=spec.train.isolation == "trial",
        ingest=ingest,
    )
    recorder.add_listener(checkpoints.Keeper(folder, spec, recorder.log))
    stopper = StudyStopper(spec, recorder)
    course = Course(spec, recorder)
    queue = ahead.Ahead(depth=ahead.depth(spec.search.concurrency))
    brain = Brain(spec.search.algorithm, problem, queue, bound_regret=spec.search.regret is not None)
    try:
        with (
            gangs.running(setup, session, concurrency=spec.search.concurrency) as names,
            _interrupts(stopper),
            _settings(),
            _scratch() as scratch,
        ):
            _fit(spec, setup, recorder, course, brain, names, stopper, scratch=scratch)
        if stopper.reason is None:
            course.finish()
    finally:
        brain.close()
        recorder.flush()
    if recorder.broken is not None:
        raise recorder.broken
    return stopper.reason


def _fit(
    spec: StudySpec,
    setup: Setup,
    recorder: Recorder,
    course: Course,
    brain: Brain,
    names: Sequence[str],
    stopper: StudyStopper,
    *,
    scratch: str,
) -> None:
    pool = GangPool(names)
    trainable: Any = tune.with_resources(
        tune.with_parameters(TrialActor, setup=setup), _actor_resources(setup, in_gang=bool(names))
    )
    tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(spec, recorder, course, brain, pool, stopper),
            scheduler=StudyScheduler(recorder, course, pool),
            num_samples=-1,  # the searcher says when it is finished
            max_concurrent_trials=spec.search.concurrency,
            reuse_actors=bool(names) or not setup.fresh,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=spec.name,
            storage_path=scratch,
            stop=stopper,
            callbacks=[StudyCallback(spec, setup, recorder, course, brain, pool)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # checkpoints are the loop's own
            failure_config=tune.FailureConfig(max_failures=spec.train.retries),
            verbose=0,
        ),
    ).fit()


def _actor_resources(setup: Setup, *, in_gang: bool) -> dict[str, float]:
    """A trial actor in front of a gang only passes messages on: the gang's workers hold the resources.

    Tune refuses an empty request, and a fraction of a CPU would not fit beside gangs that fill the cluster.
    """
    if in_gang:
        return {"memory": 1}  # one byte
    return {"CPU": setup.cpus, **({"GPU": setup.gpus} if setup.gpus else {})}


# -- surroundings ------------------------------------------------------------------------------------------------------


@contextmanager
def _interrupts(stopper: StudyStopper) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM, as from a stopped job) ends the study cleanly, the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(number: int, frame: Any) -> None:
        stopper.reason = "interrupted"
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _settings() -> Iterator[None]:
    """Tune's environment switches and a quiet logger, while it runs."""
    before = {name: os.environ.get(name) for name in _TUNE_SETTINGS}
    os.environ.update(_TUNE_SETTINGS)
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder for what Tune insists on writing."""
    folder = tempfile.mkdtemp(prefix="paretune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
