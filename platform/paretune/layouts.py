"""The layouts that a study's trials may have: entries of `train.Layout`, fixed or searched, and which go together.

    layout: {pipeline: {type: choice, options: [1, 2, 4]}, microbatches: 8, batch: batch_size}

A searched entry is a parameter of the space under the name `layout.<entry>`; the loop is given all of them as
`config["layout"]`, for `train.Layout.of(config)`. What `train.Layout` refuses on the study's workers is never proposed;
where an attempt may have from two to four of them, what it refuses on two, three or four.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from paretune.errors import SpaceError, SpecError, nearest
from paretune.parameters import Choice, Config, Float, Int, Parameter, Value
from paretune.settings import TrainSettings
from paretune.space import Space, parameter_from_dict, parameter_to_dict
from paretune.train.layout import LOOPED, Layout, check_entry

PREFIX = "layout."

_ENTRIES = tuple(field.name for field in fields(Layout))
_TRIED = 100_000  # combinations gone through to find a legal one; 1 s
_MICROBATCHES = 4  # for each worker of a pipeline, in what is named as legal: they keep its bubble below a fifth


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSpec:
    """The `layout` of a study whose attempts have from `min_workers` to `workers`; a rule of its space.

    See `legality.Rule`. Attempts that differ in their workers differ in `data` or `pipeline`, whichever is left out.
    `batch` names what holds the number of samples of one step over all copies of the model, each of which cuts its
    share into microbatches of equal size: a parameter, or a constant of `batch_size`. None: the loop sees to that.
    """

    workers: int
    min_workers: int
    fixed: Mapping[str, Value]
    searched: Mapping[str, Parameter]
    batch: str | None = None
    batch_size: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that decide what is legal."""
        counted = [PREFIX + name for name, parameter in self.searched.items() if not isinstance(parameter, Float)]
        return (self.batch, *counted) if counted and self.batch and not self.batch_size else tuple(counted)

    def layout(self, config: Config) -> Layout:
        """The layout of a configuration of the space on all workers; raises SpecError for one that is refused."""
        return Layout.on(self.workers, entries(self.fixed, config))

    def summary(self, config: Config) -> str:
        """A layout in a few words: `data 2 to 4 x pipeline 1, ddp, bf16`."""
        most, least = self.layout(config), Layout.on(self.min_workers, entries(self.fixed, config))
        data, pipeline = _from_to(least.data, most.data), _from_to(least.pipeline, most.pipeline)
        on_most = f"data {most.data} x pipeline {most.pipeline}"
        return most.summary().replace(on_most, f"data {data} x pipeline {pipeline}", 1)

    def refusal(self, config: Config) -> str | None:
        """Why the layout of a configuration is not legal on all numbers of workers; None where it is."""
        given, size = entries(self.fixed, config), self.batch_size or config.get(self.batch or "")
        for workers in range(self.min_workers, self.workers + 1):
            try:
                layout = Layout.on(workers, given)
            except SpecError as error:
                return error.message
            if layout.pipeline > 1 and isinstance(size, int) and size % (layout.data * layout.microbatches):
                return (
                    f"layout.microbatches: data x microbatches must divide {self.batch}, "
                    f"got {layout.data} x {layout.microbatches} and {size}"
                )
        return None

    def parameters(self) -> dict[str, Parameter]:
        """What is searched, by its name in the space."""
        return {PREFIX + name: parameter for name, parameter in self.searched.items()}

    def to_dict(self) -> dict[str, Any]:
        """The section of a spec file."""
        batch = {} if self.batch is None else {"batch": self.batch}
        searched = {name: parameter_to_dict(parameter) for name, parameter in self.searched.items()}
        return {**self.fixed, **searched, **batch}


def _from_to(low: int, high: int) -> str:
    return str(high) if low == high else f"{low} to {high}"


def entries(fixed: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The entries of one trial's layout."""
    chosen = {name.removeprefix(PREFIX): value for name, value in config.items() if name.startswith(PREFIX)}
    return {**fixed, **chosen}


def assembled(constants: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """What a loop is given: what all trials of a study have, and a configuration of its space."""
    if "layout" not in constants:
        return {**constants, **config}
    plain = {name: value for name, value in config.items() if not name.startswith(PREFIX)}
    return {**constants, **plain, "layout": entries(constants["layout"], config)}


def read(given: object, *, train: TrainSettings, space: Mapping[str, Parameter]) -> LayoutSpec:
    """Read the section; `train` says on how many workers, and what is constant beside the parameters of `space`.

    Raises:
        SpecError: an unknown entry, a value that no layout has, or nothing that is legal on so many workers.
    """
    if not isinstance(given, Mapping):
        raise SpecError(f"layout: must map entries of train.Layout to values, got {given!r}", hint="pipeline: 2")
    fixed: dict[str, Value] = {}
    searched: dict[str, Parameter] = {}
    for name in sorted((name for name in given if name != "batch"), key=_place):
        entry = given[name]
        if isinstance(entry, (Mapping, Float, Int, Choice)):
            searched[name] = _parameter(name, entry, given)
        else:
            check_entry(name, entry)
            fixed[name] = entry
    searched = {name: _when_it_matters(name, searched, fixed, train.workers) for name in searched}
    batch = given.get("batch")
    layout = LayoutSpec(
        workers=train.workers,
        min_workers=train.min_workers,
        fixed=fixed,
        searched=searched,
        batch=batch,
        batch_size=_batch_size(batch, space, train.config),
    )
    return _with_defaults(layout, space, _first_legal(layout, space))


def _place(name: object) -> int:
    if name not in _ENTRIES:
        raise SpecError(f"layout: unknown entry {name!r}", hint=nearest(name, [*_ENTRIES, "batch"]))
    return _ENTRIES.index(str(name))


def _parameter(name: str, entry: Any, section: Mapping[str, Any]) -> Parameter:
    """One searched entry; what its `when` names within the section gets its full name."""
    try:
        parameter = parameter_from_dict(name, entry)
    except SpaceError as error:
        raise error.located("layout") from None
    for value in (parameter.low, parameter.high) if isinstance(parameter, Float) else _values(parameter):
        check_entry(name, value)
    when = {PREFIX + key if key in section else key: values for key, values in parameter.when.items()}
    return replace(parameter, when=when)


def _values(parameter: Parameter) -> tuple[Value, ...]:
    assert not isinstance(parameter, Float)
    return tuple(parameter.options if isinstance(parameter, Choice) else parameter.values)


def _when_it_matters(
    name: str, searched: Mapping[str, Parameter], fixed: Mapping[str, Value], workers: int
) -> Parameter:
    """The parameter, present only where its value means something; unless the user has said when it is."""
    parameter = searched[name]
    if parameter.when:
        return parameter
    when: dict[str, tuple[Value, ...]] = {}
    if name in ("microbatches", "schedule", "stages_per_worker"):
        when |= _degree("pipeline", searched, fixed, workers)
    if name in ("shard", "compression", "bucket_mb"):
        when |= _degree("data", searched, fixed, workers)
    if name == "stages_per_worker" and "schedule" in searched:
        when = _some("schedule", searched["schedule"], LOOPED)
    if name == "compression" and "shard" in searched:
        when = _some("shard", searched["shard"], ("ddp",))
    return replace(parameter, when=when)


def _degree(
    name: str, searched: Mapping[str, Parameter], fixed: Mapping[str, Value], workers: int
) -> dict[str, tuple[Value, ...]]:
    """When `data` or `pipeline` is more than 1, by that entry itself or by what the other one leaves."""
    other = "pipeline" if name == "data" else "data"
    if name in fixed or other in fixed:
        return {}
    if name in searched:
        return _some(name, searched[name], [value for value in _values(searched[name]) if value != 1])
    if other in searched:
        return _some(other, searched[other], [value for value in _values(searched[other]) if value != workers])
    return {}


def _some(name: str, parameter: Parameter, wanted: Iterable[Value]) -> dict[str, tuple[Value, ...]]:
    """The condition that an entry has one of the wanted values; none where it always, or never, has."""
    kept = tuple(value for value in _values(parameter) if value in tuple(wanted))
    return {PREFIX + name: kept} if 0 < len(kept) < len(_values(parameter)) else {}


def _batch_size(name: object, space: Mapping[str, Parameter], constants: Mapping[str, Any]) -> int | None:
    """The constant of that name; None where it is a parameter, or nothing is named."""
    if name is None or (isinstance(name, str) and isinstance(space.get(name), Int | Choice)):
        return None
    value = constants.get(name) if isinstance(name, str) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise SpecError(
        f"layout: batch: must name a parameter that is no float, or an integer under train: config:, got {name!r}",
        hint=nearest(name, [*(key for key in space if not isinstance(space[key], Float)), *constants]),
    )


def _first_legal(layout: LayoutSpec, space: Mapping[str, Parameter]) -> dict[str, Value]:
    """The first legal values, beginning with the defaults; raises SpecError where there are none."""
    if not layout.searched:
        layout.layout({})
    searched = Space({**space, **layout.parameters()}) if layout.searched else None
    names = layout.names
    choices = [_default_first(space[name] if name in space else layout.parameters()[name]) for name in names]
    reasons: dict[str, None] = {}
    for values in itertools.islice(itertools.product(*choices), _TRIED):
        given = dict(zip(names, values, strict=True))
        config = searched.filled(given) if searched is not None else {}
        reason = layout.refusal(config)
        if reason is None:
            return given
        reasons[reason] = None
    why, workers = "; ".join(list(reasons)[:3]), _from_to(layout.min_workers, layout.workers)
    raise SpecError(
        f"layout: nothing of what is searched is legal on {workers} worker(s): {why}" if names else why,
        hint=f"legal would be {_legal_on(layout)}",
    )


def _default_first(parameter: Parameter) -> list[Value]:
    own = parameter.default
    return sorted(_values(parameter), key=lambda value: own is not None and value != own)


def _legal_on(layout: LayoutSpec) -> str:
    workers = layout.workers
    if layout.min_workers < workers:
        pieces = f"with microbatches {_MICROBATCHES * workers}"
        return f"pipeline 1, data is then what there are | data 1 {pieces}, pipeline is then what there are"
    pipelines = [p for p in range(1, workers + 1) if workers % p == 0]
    parts = [
        f"data {workers // p} x pipeline {p}" + (f" with microbatches {_MICROBATCHES * p}" if p > 1 else "")
        for p in pipelines
    ]
    return " | ".join(parts)


def _with_defaults(layout: LayoutSpec, space: Mapping[str, Parameter], legal: Mapping[str, Value]) -> LayoutSpec:
    """Searched entries without a default get a legal one, where there is to be a default configuration at all."""
    if all(parameter.default is None for parameter in (*space.values(), *layout.searched.values())):
        return layout
    searched = dict(layout.searched)
    for name, parameter in searched.items():
        if parameter.default is None and PREFIX + name in legal:
            own: Any = legal[PREFIX + name]
            searched[name] = replace(parameter, default=own)
    return replace(layout, searched=searched)
