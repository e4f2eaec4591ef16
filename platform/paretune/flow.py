"""The whole flow on one page: read this first.

search, run        a spec -> checks -> Ray -> the store -> trials -> Study
load               a finished or unfinished study from the store
Study              what a user holds: front, best, tables, report, resume

StudySpec (study.py) says what to do. The store (store/) opens the study's log, or makes it. The engine (engine/)
starts `tune.Tuner`; Tune asks for trials, an algorithm (algorithms/) proposes them from the log, trial actors run
the user's loop, every report and every end is recorded before anything acts on it. The report (report/) reads the
log. Because everything is computed from the log, to resume is to go on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paretune import algorithms, loading, population, provenance, running, schedulers, store, study, warm_start
from paretune._defaults import STORE
from paretune.algorithms import Settings
from paretune.earlier import Source
from paretune.errors import InputError
from paretune.listener import Listener
from paretune.log import Log, Trial
from paretune.objective import Limit, Objectives
from paretune.parameters import Config, Parameter
from paretune.population import Stage
from paretune.recommendation import Recommendation, recommend
from paretune.space import Space
from paretune.study import StudySpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from paretune.diagnosis import Diagnosis
    from paretune.engine.data import DataSource, SplitConfig
    from paretune.records import Provenance
    from paretune.replay import Replay
    from paretune.simulation import Blackbox

TrainFunction = Callable[[dict[str, Any]], Any]


def search(
    train: TrainFunction | str,
    *,
    space: Space | Mapping[str, Parameter | Mapping[str, Any]],
    objectives: Objectives | Mapping[str, Any],
    limits: Mapping[str, Limit | Mapping[str, Any]] | None = None,
    constraints: Sequence[str] = (),
    layout: Mapping[str, Any] | None = None,
    first: Sequence[Config] = (),
    algorithm: Settings | Mapping[str, Any] | str = "gp",
    scheduler: schedulers.Settings | Mapping[str, Any] | str = "auto",
    trials: int = 32,
    hours: float | None = None,
    worker_hours: float | None = None,
    target: Mapping[str, float] | None = None,
    regret: float | None = None,
    concurrency: int = 1,
    workers: int | tuple[int, int] = 1,
    epochs: int | None = None,
    datasets: DataSource | str | None = None,
    dataset_config: SplitConfig | None = None,
    seed: int = 0,
    warm_start: Literal["store"] | Sequence[str | Study] | None = None,
    store: str | os.PathLike[str] = STORE,
    name: str | None = None,
    address: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Study:
    """Search the hyperparameters of a Ray Train loop.

    Args:
        train: the training function, `def train(config)`, or where it is found ("cnn", "package.module:function").
        space: names to `Float`, `Int` and `Choice`.
        objectives: metric names to "minimize" or "maximize", or to a mapping with `goal`, `reference`, `limit`.
        limits: of other metrics that are reported: names to `min`, `max` or both.
        constraints: what must hold between parameters: "batch_size * accumulate <= 4096".
        layout: how trials are spread over the workers: entries of `train.Layout` to values, or to what is searched of
            them, {"pipeline": pt.Choice([1, 2, 4])}; in the loop `train.Layout.of(config)`.
        first: configurations to try before all others; what they leave out is completed by defaults.
        algorithm: one of `paretune.algorithms.names()`, or its settings: `pt.GP(initial=8)`.
        scheduler: one of `paretune.schedulers.names()`, or its settings: `pt.ASHA(grace=3)`; which trials go on. By
            default `asha` for `gp` and `bohb` where there are nine epochs or more, else "none".
        trials, hours, worker_hours, target, regret: when to stop; whichever comes first. `target` maps objectives to
            values that one trial shall reach; `regret` is what is worth going on for, in units of the only objective.
        concurrency: trials at a time; never more than the cluster can place.
        workers: Ray Train workers of each trial; (2, 4) for as many from two to four as there is room for.
        epochs: handed to the loop as config["epochs"].
        datasets, dataset_config: what `ray.train.get_dataset_shard` reads, as a TorchTrainer takes it: Ray Data
            datasets by name, or a function of the constant part of the config that makes them, or where it is found.
        warm_start: earlier studies to learn from: "store" for those in the store that fit, or their names.
        store, name: where the study is kept; one that exists with the same settings goes on.
        address: a Ray cluster; by default the one RAY_ADDRESS names, else a local Ray.
        progress: show it on the terminal.
        settings: further fields of `train:` in a spec file: cpus, gpus, data_cpus, isolation, retries, hang_s, keep,
            config.

    Raises:
        InputError: something given is wrong; nothing was started or written.
        StudyFailedError: the first trials all failed.
        KeyboardInterrupt: interrupted; everything so far is stored.
    """
    reference = train if isinstance(train, str) else loading.reference_of(train)
    spec = study.build(
        {
            "name": name or _name(reference),
            "trainable": reference,
            "objectives": objectives,
            "space": space,
            "constraints": list(constraints),
            **({} if layout is None else {"layout": layout}),
            **({} if limits is None else {"limits": limits}),
            "search": {
                "algorithm": algorithm, "scheduler": scheduler,
                "trials": trials, "hours": hours, "worker_hours": worker_hours,
                "target": target, "regret": regret, "concurrency": concurrency, "seed": seed,
                "first": [dict(config) for config in first] or None,
                "warm_start": _earlier(warm_start, os.fspath(store)),
            },
            "train": {"workers": workers, "epochs": epochs, **settings},
            **({} if datasets is None else {"datasets": _made_by(datasets)}),
            "store": os.fspath(store),
        },
        where="search",
    )  # fmt: skip
    return run(
        spec,
        train=None if isinstance(train, str) else train,
        datasets=None if isinstance(datasets, str) else datasets,
        dataset_config=dataset_config,
        address=address,
        listeners=_listeners(progress),
    )


def run(
    spec: StudySpec,
    *,
    train: TrainFunction | None = None,
    datasets: DataSource | None = None,
    dataset_config: SplitConfig | None = None,
    base: Path | None = None,
    address: str | None = None,
    listeners: Sequence[Listener] = (),
) -> Study:
    """Run a study to the end of its budget; one that is in the store already goes on from where it is.

    `train` is the training function when the caller has it; otherwise `spec.trainable` names it, as seen from
    the folder `base`; so with `datasets`. Raises what `search` raises.
    """
    running.check(spec)
    function = running.with_data(
        train or loading.resolve(spec.trainable, base=base), spec, datasets, dataset_config, base
    )
    code = loading.pickle(function)
    if running.finished(spec):
        return load(spec.name, store=spec.store)
    spec = warm_start.settled(spec)
    sources = warm_start.read(spec)
    from paretune.engine import run as engine
    from paretune.engine import session
    from paretune.monitor.job import job_config
    from paretune.monitor.metrics import StudyMetrics

    with session.connect(address, job=job_config(spec.name, spec.store)) as ray_session:
        spec, read = running.settle_data(spec, function)
        placed, gpus = engine.place(spec, ray_session, datasets=len(read))
        if not store.exists(spec.store, spec.name):
            store.create(spec, provenance.collect(), code=code)
        reason = running.on_ray(
            spec,
            placed=placed,
            sources=sources,
            function=function,
            datasets=read,
            gpus=gpus,
            session=ray_session,
            listeners=[*listeners, StudyMetrics()],
        )
    if reason == "interrupted":
        raise KeyboardInterrupt
    result = load(spec.name, store=spec.store)
    if reason == "failing":
        raise running.all_failed(spec.name, result.log)
    return result


def load(name: str, *, store: str | os.PathLike[str] = STORE) -> Study:
    """A study from the store, as it is now; raises StudyNotFoundError."""
    return Study(name, os.fspath(store))


class Study:
    """A study in the store, as it was when loaded."""

    def __init__(self, name: str, location: str = STORE) -> None:
        stored = store.read(location, name)
        self.name, self.store = name, location
        self.spec: StudySpec = stored.spec.model_copy(update={"store": location})
        self.log: Log = stored.log
        self.provenance: Provenance = stored.provenance
        self.folder = stored.folder
        self._code = stored.code

    def __repr__(self) -> str:
        return f"Study({self.name!r}, store={self.store!r}, trials={len(self.log.ended)}/{self.spec.search.trials})"

    @property
    def trials(self) -> list[Trial]:
        """All trials in order of their numbers."""
        return [trial for _, trial in sorted(self.log.trials.items())]

    def front(self) -> list[Trial]:
        """The trials on the Pareto front (for one objective: the best), sorted by the first objective."""
        from paretune.report import frames

        return frames.front(self.spec, self.log)

    def best(self, objective: str | None = None) -> Trial:
        """The best trial by an objective, whose name is needed when there are several.

        Where results are noisy it is the one whose configuration has the best mean, not the luckiest value.
        """
        return self.recommendation(objective).trial

    def recommendation(self, objective: str | None = None) -> Recommendation:
        """The best trial, and what its configuration gives on average, with an interval."""
        try:
            kernel = algorithms.kernel_of(self.spec.search.algorithm)
            return recommend(self.log.trials.values(), self.spec.space, self.spec.objectives, objective, kernel=kernel)
        except InputError as error:
            raise error.located(f"study {self.name}") from None

    def schedule(self, trial: Trial) -> list[Stage]:
        """How the configuration changed during the training that a trial is the end of; one stage but under `pbt`."""
        return population.stages(self.log, trial.id)

    def diagnose(self) -> Diagnosis:
        """Whether predictions held, what noise there is, where the space is too narrow, what was wasted."""
        from paretune import diagnosis

        return diagnosis.diagnose(self.spec, self.log)

    def replay(self) -> Replay:
        """Every suggestion and every decision once more, from the log alone, up to the first difference."""
        from paretune import replay

        return replay.replay(self.spec, self.log)

    def to_pandas(self) -> pd.DataFrame:
        """A row per trial: `trial`, `status`, parameters, metrics, `resource`, `started`, `seconds`."""
        from paretune.report import frames

        return frames.trials(self.spec, self.log)

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table."""
        from paretune.report import frames

        return frames.to_arrow(self.spec, self.log)

    def blackbox(self) -> Blackbox:
        """What its completed trials gave, as a training to simulate: `pt.simulate(spec, study.blackbox())`."""
        from paretune.simulation import Recorded

        return Recorded(self.spec, self.log)

    def source(self) -> Source:
        """The study as one to learn from: `pt.Optimizer(..., warm_start=[study])`."""
        return Source(
            name=self.name,
            space=self.spec.space,
            objectives=self.spec.objectives,
            observations=tuple(self.log.history),
        )

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one HTML file that needs nothing else."""
        from paretune.report import page

        return page.write(self.spec, self.log, self.provenance, Path(path), diagnosis=self.diagnose())

    def resume(
        self,
        *,
        trials: int | None = None,
        hours: float | None = None,
        worker_hours: float | None = None,
        target: Mapping[str, float] | None = None,
        regret: float | None = None,
        concurrency: int | None = None,
        train: TrainFunction | None = None,
        datasets: DataSource | None = None,
        address: str | None = None,
        progress: bool = True,
        listeners: Sequence[Listener] = (),
    ) -> Study:
        """Go on, with a larger budget if one is given. Trials in flight continue from their last checkpoint.

        A study that has ended by a rule goes on when the rule is given anew: more worker-hours, a better target (an
        empty one drops it), less regret. `train` replaces the training function that is stored with the study;
        `datasets` are needed again where they were made in memory.
        """
        given = {
            "trials": trials, "hours": hours, "worker_hours": worker_hours,
            "target": dict(target) if target is not None else None, "regret": regret, "concurrency": concurrency,
        }  # fmt: skip
        changes = {key: value for key, value in given.items() if value is not None}
        spec = self.spec.with_changes({"search": changes})
        if train is None and self._code is not None:
            train = loading.unpickle(self._code)
        return run(spec, train=train, datasets=datasets, address=address, listeners=listeners or _listeners(progress))


def _earlier(given: Literal["store"] | Sequence[str | Study] | None, location: str) -> Any:
    """Studies by their names, those of another store by their folders; what is no study is refused with the spec."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        return given
    return [
        (entry.name if entry.store == location else entry.folder) if isinstance(entry, Study) else entry
        for entry in given
    ]


def _made_by(datasets: DataSource | str) -> dict[str, str]:
    """How a spec names datasets: by the function that makes them; those that are given themselves have no name."""
    if isinstance(datasets, str):
        return {"made_by": datasets}
    return {"made_by": loading.reference_of(datasets)} if callable(datasets) else {}


def _name(reference: str) -> str:
    """A study's name from its training function's: "package.module:train_cnn" -> "train_cnn"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", reference.rpartition(":")[2]).strip("-._") or "study"


def _listeners(progress: bool) -> list[Listener]:
    if not progress:
        return []
    from paretune import progress as display

    return [display.choose()]
