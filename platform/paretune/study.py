"""A study's specification: all that one run needs, validated once, and its way in and out of YAML.

StudySpec
  name, trainable, store
  objectives   -> Objectives       with the limits on other metrics that stand under `limits` beside it
  space        -> Space            with what stands under `constraints` beside it
  layout       -> LayoutSpec       how trials are spread over their workers; what is searched of it joins the space
  search       -> SearchSettings   algorithm, scheduler, when to stop, concurrency, seed, first, warm_start
  train        -> TrainSettings    workers, epochs, cpus, gpus, isolation, retries, hang_s, keep, config, data_cpus
  datasets     -> Datasets         what the loop reads through Ray Data
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, field_validator, model_validator

from paretune._defaults import STORE as DEFAULT_STORE
from paretune._yaml import Loader
from paretune.errors import InputError, SpaceError, SpecError, nearest
from paretune.layouts import PREFIX, LayoutSpec
from paretune.layouts import read as read_layout
from paretune.objective import Objectives
from paretune.parameters import Value
from paretune.settings import Datasets, SchedulerSpec, SearchSettings, Strict, TrainSettings
from paretune.space import Space

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_FROM_CUT_SHORT = ("gp", "bohb")
"""Algorithms that compare trials at equal rungs. The others take a trial that was cut short for what it had reached."""

_WORTH_CUTTING = 9
"""Epochs of a training from which there are two rungs in its first third."""


class StudySpec(Strict):
    """All that one run needs.

    The scheduler `auto` becomes `asha` for algorithms that learn from trials cut short, where a training has at least
    nine epochs; else `none`.
    """

    name: str
    trainable: str
    objectives: Objectives
    space: Space
    layout: LayoutSpec | None = None
    search: SearchSettings = SearchSettings()
    train: TrainSettings = TrainSettings()
    datasets: Datasets | None = None
    store: str = DEFAULT_STORE

    @model_validator(mode="before")
    @classmethod
    def _neighbours(cls, data: Any) -> Any:
        """Limits stand beside the objectives in a file, constraints and the layout beside the space: they belong there.

        What is searched of the layout is a part of the space, and constraints may name it.
        """
        if not isinstance(data, Mapping):
            return data
        rest = dict(data)
        if "limits" in rest and "objectives" in rest:
            rest["objectives"] = cls._objectives(rest["objectives"]).with_limits(rest.pop("limits"))
        if rest.get("layout") is not None:
            train = TrainSettings.model_validate(rest.get("train", {}))
            own = _as_space(rest["space"], ()) if rest.get("space") else None
            layout = read_layout(rest["layout"], train=train, space=own or {})
            rest |= {"layout": layout, "space": _laid_out(own, layout)}
        if "constraints" in rest and "space" in rest:
            rest["space"] = _as_space(rest["space"], rest.pop("constraints") or ())
        return rest

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"must be letters, digits, '.', '_' and '-' and begin with a letter or digit, got {name!r}"
            )
        return name

    @field_validator("objectives", mode="before")
    @classmethod
    def _objectives(cls, value: Any) -> Objectives:
        return value if isinstance(value, Objectives) else Objectives.from_dict(value)

    @field_validator("datasets", mode="before")
    @classmethod
    def _datasets(cls, value: Any) -> Any:
        return {"made_by": value} if isinstance(value, str) else value

    @field_validator("space", mode="before")
    @classmethod
    def _space(cls, value: Any) -> Space:
        return _as_space(value, ())

    @model_validator(mode="after")
    def _no_collisions(self) -> StudySpec:
        twice = sorted(set(self.constants()) & set(self.space))
        if twice:
            raise SpecError(
                f"space: {twice[0]}: given in train as well",
                hint=f"remove {twice[0]} from train, or from the space",
            )
        return self

    @model_validator(mode="after")
    def _first_is_legal(self) -> StudySpec:
        for number, given in enumerate(self.search.first or (), 1):
            try:
                self.space.complete(given)
            except SpaceError as error:
                raise error.located(f"search: first: {number}") from None
        return self

    @model_validator(mode="after")
    def _reachable(self) -> StudySpec:
        for name in self.search.target or ():
            if name not in self.objectives.names:
                raise SpecError(f"search: target: {name!r} is no objective", hint=nearest(name, self.objectives.names))
        if self.search.regret is not None and len(self.objectives) > 1:
            raise SpecError(
                f"search: regret: is for one objective, got {len(self.objectives)}", hint="set a target, or hours"
            )
        return self

    @model_validator(mode="after")
    def _scheduler(self) -> StudySpec:
        if self.search.scheduler.name == "auto":
            if self.search.scheduler.settings:
                raise SpecError("search: scheduler: auto: has no settings", hint="name the scheduler they are for")
            worth = self.search.algorithm.name in _FROM_CUT_SHORT and (self.train.epochs or 0) >= _WORTH_CUTTING
            chosen = SchedulerSpec(name="asha" if worth else "none")
            object.__setattr__(self, "search", self.search.model_copy(update={"scheduler": chosen}))
        return self

    @property
    def first(self) -> tuple[dict[str, Value], ...]:
        """The configurations to try first, in full."""
        return tuple(self.space.complete(given) for given in self.search.first or ())

    def constants(self) -> dict[str, Any]:
        """What every trial's config holds beside the suggested parameters; see `layouts.assembled`."""
        epochs = {} if self.train.epochs is None else {"epochs": self.train.epochs}
        layout = {} if self.layout is None else {"layout": dict(self.layout.fixed)}
        return {**self.train.config, **epochs, **layout}

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain data, `store` left out: a study may be moved."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "objectives": self.objectives.to_dict(),
            **({"limits": self.objectives.limited_to_dict()} if self.objectives.limited else {}),
            "space": {
                name: entry
                for name, entry in self.space.to_dict().items()
                if self.layout is None or not name.startswith(PREFIX)
            },
            **({} if self.layout is None else {"layout": self.layout.to_dict()}),
            **(
                {"constraints": [str(constraint) for constraint in self.space.constraints]}
                if self.space.constraints
                else {}
            ),
            "search": self.search.model_dump(exclude_none=True),
            "train": self.train.model_dump(exclude_none=True),
            **({"datasets": self.datasets.model_dump(exclude_none=True)} if self.datasets is not None else {}),
        }

    def with_changes(self, changes: Mapping[str, Any]) -> StudySpec:
        """The spec with nested settings replaced, `{"search": {"trials": 60}}`; validated again."""
        merged = {**_merge(self.to_dict(), changes), "store": changes.get("store", self.store)}
        if "target" in changes.get("search", {}):  # another target replaces the whole of it
            merged["search"]["target"] = changes["search"]["target"]
        return build(merged, where="study")


def _laid_out(space: Space | None, layout: LayoutSpec) -> Space:
    """The space with what is searched of the layout, of which only what is legal."""
    parameters, texts = dict(space or {}), [constraint.text for constraint in space.constraints] if space else []
    for name, parameter in layout.parameters().items():
        if name in parameters:
            raise SpecError(f"space: {name}: given under layout as well", hint=f"remove {name} from the space")
        parameters[name] = parameter
    return Space(parameters, texts, [layout])


def _as_space(space: Any, constraints: Sequence[str]) -> Space:
    if isinstance(space, Space):
        return space.constrained(constraints) if constraints else space
    return Space.from_dict(space, constraints)


def build(data: Mapping[str, Any], *, where: str) -> StudySpec:
    """Validate plain data into a spec; `where` (a file name) leads every error message."""
    try:
        return StudySpec.model_validate(dict(data))
    except InputError as error:
        raise error.located(where) from None
    except ValidationError as error:
        raise _readable(error, where) from None


def load(path: str | Path, changes: Mapping[str, Any] | None = None) -> StudySpec:
    """Read a spec file; its name is the study's unless it says otherwise."""
    path = Path(path)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, Mapping):
        raise SpecError(f"{path}: must hold a mapping with trainable, objectives and space, got {type(data).__name__}")
    return build(_merge({"name": path.stem, **data}, changes or {}), where=str(path))


def to_yaml(spec: StudySpec) -> str:
    """The spec as a YAML file's text."""
    return yaml.safe_dump(spec.to_dict(), sort_keys=False)


def parse_value(text: str) -> Any:
    """A YAML scalar or flow value, as in `--set key=value`; raises SpecError."""
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"{text!r} is not valid YAML: {' '.join(str(error).split())}") from None


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """`nested("search.trials", 8)` is `{"search": {"trials": 8}}`."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def _readable(error: ValidationError, where: str) -> SpecError:
    """The most telling of pydantic's complaints, in our form: a misspelt key also leaves another one missing."""
    first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    place = ": ".join([where, *path])
    if first["type"] == "extra_forbidden":
        models: dict[str, type[Strict]] = {"search": SearchSettings, "train": TrainSettings}
        known = (
            models[path[0]].model_fields if path[0] in models else [*StudySpec.model_fields, "limits", "constraints"]
        )
        parent = ": ".join([where, *path[:-1]])
        return SpecError(f"{parent}: unknown key {path[-1]!r}", hint=nearest(path[-1], known))
    if first["type"] == "missing":
        return SpecError(f"{place}: is missing")
    message = first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] == "value_error" else f", got {first['input']!r}"
    return SpecError(f"{place}: {message[0].lower()}{message[1:]}{found}")
