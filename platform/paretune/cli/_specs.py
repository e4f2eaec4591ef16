"""A study's spec from a file or from a trainable's name, changed by options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paretune.errors import AlgorithmError, SchedulerError, SpecError, nearest
from paretune.study import StudySpec, load, parse_value


def locate(spec_or_name: str) -> Path:
    """The spec file that an argument means: a path, or the name of a trainable that has a ready spec."""
    path = Path(spec_or_name)
    if path.is_file() or path.suffix in (".yaml", ".yml") or len(path.parts) != 1:
        return path
    from paretune import loading

    ready = {trainable.name: trainable.spec_path for trainable in loading.builtins() if trainable.spec_path}
    if spec_or_name in ready:
        return ready[spec_or_name]
    raise SpecError(
        f"{spec_or_name}: neither a spec file nor a trainable with a ready spec",
        hint=nearest(spec_or_name, ready) or "give the path of a spec file",
    )


def read(spec_or_name: str, changes: Mapping[str, Any]) -> tuple[StudySpec, Path]:
    """The validated spec, and its file's folder; raises InputError. Imports neither torch nor ray."""
    from paretune import algorithms, loading, schedulers

    path = locate(spec_or_name)
    spec = load(path, changes)
    try:
        algorithms.check(spec.search.algorithm, transfers=spec.search.warm_start is not None)
        schedulers.check(spec)
    except (AlgorithmError, SchedulerError) as error:
        raise error.located(f"{path}: search") from None
    loading.check(spec.trainable, base=path.parent)
    return spec, path.parent


def changes(options: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """`{"search.trials": 8, "name": None}` and `["train.epochs=3"]` -> `{"search": {"trials": 8}, "train": ...}`."""
    result: dict[str, Any] = {}
    for dotted, value in options.items():
        if value is not None:
            _put(result, dotted, value)
    for setting in settings:
        dotted, equals, text = setting.partition("=")
        if not equals or not all(dotted.split(".")):
            raise SpecError(f"--set: must be key=value, got {setting!r}", hint="--set train.epochs=3")
        try:
            _put(result, dotted, parse_value(text))
        except SpecError as error:
            raise error.located(f"--set {dotted}") from None
    return result


def target(given: Sequence[str] | None) -> dict[str, float] | None:
    """`["val_error=0.02"]` -> `{"val_error": 0.02}`; None where nothing is given."""
    if not given:
        return None
    return dict(_aim(text) for text in given)


def _aim(text: str) -> tuple[str, float]:
    metric, _, value = text.rpartition("=")
    number = parse_value(value)
    if not metric or isinstance(number, bool) or not isinstance(number, int | float):
        raise SpecError(f"--target: must be metric=value, got {text!r}", hint="--target val_error=0.02")
    return metric, float(number)


def _put(into: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a nested entry, keeping its neighbours."""
    key, _, rest = dotted.partition(".")
    if not rest:
        into[key] = value
        return
    inner = into.setdefault(key, {})
    if not isinstance(inner, dict):
        raise SpecError(f"{key} was set to {inner!r} before, so it has no {rest}")
    _put(inner, rest, value)
