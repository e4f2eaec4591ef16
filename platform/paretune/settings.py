"""The sections of a study's specification that are plain settings: how to search, how to train, what is read.

SearchSettings, with AlgorithmSpec, SchedulerSpec and EarlierStudy; TrainSettings; Datasets. `study` puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from paretune.errors import SpecError
from paretune.parameters import Value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class _Chosen(Strict):
    """One of several by its name, and what is set about it: `gp`, or `{name: gp, initial: 8}`.

    The settings are its own business: it validates them before anything starts. `_noun` is the class attribute under
    which typed settings (pt.GP, pt.ASHA) hold the name.
    """

    _noun: ClassVar[str]

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _given(cls, value: Any) -> Any:
        if isinstance(value, _Chosen):
            return {"name": value.name, "settings": value.settings}
        if isinstance(value, BaseModel):  # typed settings, as pt.GP(initial=8)
            return {"name": getattr(value, cls._noun, None), "settings": value.model_dump(exclude_defaults=True)}
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "settings" not in value:
            given = {str(key): entry for key, entry in value.items() if key != "name"}
            return {**({"name": value["name"]} if "name" in value else {}), "settings": given}
        return value

    @model_serializer
    def _plain(self) -> str | dict[str, Any]:
        return {"name": self.name, **self.settings} if self.settings else self.name


class AlgorithmSpec(_Chosen):
    """Which algorithm suggests: `gp`, `{name: gp, initial: 8}`, `pt.GP(initial=8)`."""

    _noun = "algorithm"

    name: str = "gp"


class SchedulerSpec(_Chosen):
    """Which scheduler stops or pauses trials: `asha`, `{name: asha, grace: 3}`, `pt.ASHA(grace=3)`.

    `auto` stands for what a spec comes to when it is validated (see `StudySpec`).
    """

    _noun = "scheduler"

    name: str = "auto"


class EarlierStudy(Strict):
    """What a study learns from: another study's first `position` log entries; `created_s` tells it from a namesake."""

    study: str
    position: int = Field(ge=0)
    created_s: float


class SearchSettings(Strict):
    """How to search: algorithm, scheduler, when to stop, trials at a time, what to try first, what to learn from.

    The study stops by whichever rule comes first: `trials`; `hours` since it was started or resumed; `worker_hours`
    that its trials have used in all; a `target` value of each objective named, reached by one trial; a `regret`, in
    units of the only objective, that what is left to gain is most likely below (see `stopping`).
    What a configuration of `first` leaves out is completed by the space's defaults, and middles where there is none.
    `warm_start` is "store", or a list of studies: names in the same store, `<store>/<name>` in another one. `sources`
    is what that came to when the study was created, so that a resumed study learns from the same.
    """

    algorithm: AlgorithmSpec = AlgorithmSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    trials: int = Field(default=32, ge=1)
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    worker_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    target: dict[str, FiniteFloat] | None = None
    regret: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    concurrency: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    first: list[dict[str, Value]] | None = None
    warm_start: Literal["store"] | tuple[str, ...] | None = None
    sources: tuple[EarlierStudy, ...] | None = None

    @field_validator("warm_start", mode="before")
    @classmethod
    def _studies(cls, value: Any) -> Any:
        listed = isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value)
        if value is None or value == "store" or (listed and value):
            return value
        raise ValueError(f"must be store, or a list of studies as [cnn], got {value!r}")


class TrainSettings(Strict):
    """How one trial trains.

    `workers` processes (or, written [2, 4], as many from `min_workers` on as the cluster has room for) of `cpus` CPUs
    and `gpus` GPUs each (None: one GPU each where the cluster has that many; a fraction: workers share a GPU, and those
    of one trial exchange gradients by gloo, as NCCL cannot); `epochs` and `config` are handed to the training function
    beside the suggested parameters; `retries` is how many times a trial may lose a worker before it
    counts as failed; `isolation` "trial" starts new workers for every trial.
    Where a trial takes more than `hang_s` seconds from one report to the next it is taken to hang, and its workers are
    started anew (None: half an hour, or ten times the longest so far where that is more; 0: never).
    `keep` says which checkpoints stay in the store: "last", each trial's last one; "best", those of the trials on the
    front (for one objective: of the best one); "all". A trial that may still go on keeps its last one in any case.
    `data_cpus` are left free per concurrent trial for Ray Data to read `datasets` with (None: one per dataset).
    """

    workers: int = Field(default=1, ge=1)
    min_workers: int = Field(default=1, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    cpus: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    gpus: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    isolation: Literal["gang", "trial"] = "gang"
    retries: int = Field(default=3, ge=0)
    hang_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    keep: Literal["last", "best", "all"] = "last"
    config: dict[str, Value | list[Value]] = Field(default_factory=dict)
    data_cpus: float | None = Field(default=None, ge=1, allow_inf_nan=False)

    @field_validator("gpus")
    @classmethod
    def _whole_or_a_part(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"must be a whole number, or a fraction of one GPU, got {gpus:g}")
        return gpus

    @model_validator(mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if "min_workers" in value:
            raise SpecError("train: unknown key 'min_workers'", hint="workers: [2, 4] is from two to four")
        given = value.get("workers", 1)
        if not isinstance(given, list | tuple):
            return {**value, "min_workers": given}
        if len(given) != 2 or not all(type(number) is int for number in given) or not 1 <= given[0] <= given[1]:
            raise SpecError(f"train: workers: must be a number, or two as [2, 4], got {given!r}")
        return {**value, "min_workers": given[0], "workers": given[1]}

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        if plain.pop("min_workers") != self.workers:
            plain["workers"] = [self.min_workers, self.workers]
        return plain

    @property
    def elastic(self) -> bool:
        """Whether the number of workers may change from one attempt to the next."""
        return self.min_workers < self.workers


class DatasetContents(Strict):
    """What a dataset was when the study was made: its rows, and its columns with their types."""

    rows: int
    columns: dict[str, str]


class Datasets(Strict):
    """What the loop reads through Ray Data: `package.module:function`, which makes the datasets by name, or None where
    the caller gave them; `contents` is what they were when the study was created."""

    made_by: str | None = None
    contents: dict[str, DatasetContents] | None = None
