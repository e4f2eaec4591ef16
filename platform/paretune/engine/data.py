"""Ray Data for a study's loops: what its datasets are, and each rank's shard of them, anew for every trial.

    WithData     a training function and how its datasets are made: stored with the study as one thing
    Ingest       the datasets themselves, and how they are split: what trials run with
    Handout      the shards of one trial's ranks: nothing is left in them of an earlier trial

A dataset given as an object is remembered by its lineage (what it was read from, and what was done to it). One that
was made in memory has none: whoever resumes such a study has to give it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import ray
from ray.data import DataIterator, Dataset, ExecutionOptions, ExecutionResources
from ray.train import DataConfig

from paretune import store
from paretune.engine.loop import TrainFunction
from paretune.errors import DataError, TrainableError
from paretune.settings import DatasetContents, Datasets
from paretune.study import StudySpec

Given: TypeAlias = Mapping[str, Dataset | Callable[[], Dataset]]
"""Datasets by name, as a TorchTrainer takes them."""

DataSource: TypeAlias = Given | Callable[[dict[str, Any]], Given]
"""Datasets, or a function that makes them of the constant part of the loop's config."""

Made: TypeAlias = Mapping[str, Dataset]
"""The datasets themselves."""

SplitConfig: TypeAlias = DataConfig
"""How Ray Train splits datasets over workers, and reads them."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """A study's datasets, and how the workers of a trial share them."""

    datasets: Made
    config: DataConfig

    def shards(self, name: str, nodes: list[str]) -> list[DataIterator]:
        """New iterators over a dataset, one for each rank, which run on these nodes; each `iter_...` is an epoch."""
        split = self.config.configure(
            {name: self.datasets[name]}, len(nodes), worker_handles=None, worker_node_ids=nodes
        )
        return [mine[name] for mine in split]


@dataclass(frozen=True, slots=True)
class WithData:
    """A training function, the datasets that it asks `ray.train.get_dataset_shard` for, and a TorchTrainer's config."""

    train: TrainFunction
    source: DataSource
    config: DataConfig | None = None

    def __call__(self, config: dict[str, Any]) -> Any:
        return self.train(config)

    def __reduce__(self) -> tuple[Any, ...]:
        source = self.source if callable(self.source) else {name: _kept(name, it) for name, it in self.source.items()}
        return WithData, (self.train, source, self.config)

    def make(self, constants: dict[str, Any]) -> dict[str, Dataset]:
        """The datasets by name.

        Raises:
            TrainableError: what was given is no dataset, and no function that makes one.
            DataError: one that was given in memory is gone.
        """
        given = self.source(constants) if callable(self.source) else self.source
        if not isinstance(given, Mapping) or not given:
            raise TrainableError(
                f"datasets: must be datasets by name, got {given!r}", hint='{"train": ray.data.read_parquet(...)}'
            )
        made = {name: it() if callable(it) else it for name, it in given.items()}
        for name, dataset in made.items():
            if not isinstance(dataset, Dataset):
                raise TrainableError(
                    f"datasets: {name}: must be a ray.data.Dataset, or a function that returns one, "
                    f"got {type(dataset).__name__}"
                )
        return made


def default_config(*, cpus: float, gpus: float) -> DataConfig:
    """Every dataset split evenly over a trial's workers, and read with what all trials and their workers leave."""
    held = ExecutionResources(cpu=cpus, gpu=gpus)
    return DataConfig(execution_options=ExecutionOptions(exclude_resources=held))


def settled(spec: StudySpec, function: WithData) -> tuple[StudySpec, Made]:
    """The datasets, and the spec with what they hold on record.

    Raises:
        DataError: the study was made with others, or with other rows in them.
    """
    made = function.make(spec.constants())
    found = {name: _contents(dataset) for name, dataset in made.items()}
    if store.exists(spec.store, spec.name):
        before = store.read(spec.store, spec.name).spec.datasets
        recorded = (before.contents if before is not None else None) or {}
        for name in sorted({*found, *recorded}):
            was, now = recorded.get(name), found.get(name)
            if was != now:
                raise DataError(
                    f"study {spec.name}: datasets: {name}: {_described(was)} before, {_described(now)} now",
                    hint="results on other data cannot be compared: give it the data it had, or choose another name",
                )
    made_by = spec.datasets.made_by if spec.datasets is not None else None
    return spec.model_copy(update={"datasets": Datasets(made_by=made_by, contents=found)}), made


def ingest(function: WithData, made: Made, placed: StudySpec, *, gpus: float) -> Ingest:
    """How trials read the datasets: as the study's DataConfig says, or beside what all trials hold."""
    held = placed.search.concurrency * placed.train.workers
    return Ingest(made, function.config or default_config(cpus=held * placed.train.cpus, gpus=held * gpus))


def check(name: str, ingest: Ingest | None) -> Ingest:
    """The study's datasets, where there is one of that name; raises DataError."""
    if ingest is not None and name in ingest.datasets:
        return ingest
    raise DataError(
        f"ray.train.get_dataset_shard: the study has no dataset {name!r}, "
        f"it has {', '.join(ingest.datasets if ingest is not None else ()) or 'none'}",
        hint='give it: pt.search(..., datasets={"train": ...}), or datasets: package.module:function in a spec',
    )


def node() -> str:
    """The node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


class Handout:
    """The shards of one trial, handed to its ranks once all have asked: blocks then go to where they are near."""

    def __init__(self, ingest: Ingest, workers: int) -> None:
        self._ingest, self._workers = ingest, workers
        self._asked: dict[str, dict[int, str]] = {}  # dataset -> rank -> node
        self._shards: dict[str, asyncio.Future[list[DataIterator] | None]] = {}

    async def give(self, name: str, rank: int, node: str) -> DataIterator | None:
        """The rank's shard; None: the trial ends before every rank has asked."""
        asked = self._asked.setdefault(name, {})
        shards = self._shards.setdefault(name, asyncio.get_running_loop().create_future())
        asked[rank] = node
        if len(asked) == self._workers and not shards.done():
            nodes = [asked[each] for each in range(self._workers)]
            try:
                shards.set_result(await asyncio.to_thread(self._ingest.shards, name, nodes))
            except Exception as error:  # whatever Ray Data has against it concerns every rank
                shards.set_exception(error)
        ready = await shards
        return None if ready is None else ready[rank]

    def withdraw(self) -> None:
        """Let the ranks go that still wait."""
        for shards in self._shards.values():
            if not shards.done():
                shards.set_result(None)


def _contents(dataset: Dataset) -> DatasetContents:
    """Rows and columns; a dataset that is read lazily is gone through once."""
    schema: Any = dataset.schema()
    columns = {} if schema is None else dict(zip(schema.names, map(str, schema.base_schema.types), strict=True))
    return DatasetContents(rows=dataset.count(), columns=columns)


def _described(contents: DatasetContents | None) -> str:
    return "none" if contents is None else f"{contents.rows} rows of {', '.join(contents.columns)}"


def _kept(name: str, given: Dataset | Callable[[], Dataset]) -> Callable[[], Dataset]:
    if not isinstance(given, Dataset):
        return given
    return _Lineage(given.serialize_lineage()) if given.has_serializable_lineage() else _Gone(name)


@dataclass(frozen=True, slots=True)
class _Lineage:
    """A dataset as it was made."""

    lineage: bytes

    def __call__(self) -> Dataset:
        return Dataset.deserialize_lineage(self.lineage)


@dataclass(frozen=True, slots=True)
class _Gone:
    """In place of a dataset that was in the memory of another process."""

    name: str

    def __call__(self) -> Dataset:
        raise DataError(
            f"datasets: {self.name}: was made in memory, which another process cannot have",
            hint="give it again: study.resume(datasets={...}); or read it from files, or give a function that makes it",
        )
