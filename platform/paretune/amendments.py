"""What a study may change on its way, and what would make it another study.

changes        the settings that differ and may
differences    what differs and may not, in words
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paretune.study import StudySpec

AMENDABLE = {
    "search": ("trials", "hours", "worker_hours", "target", "regret", "concurrency"),
    "train": ("retries", "hang_s", "keep"),
}
"""The settings that a study may change on its way, by the part of the spec they stand in."""


def changes(old: StudySpec, new: StudySpec) -> dict[str, Any]:
    """The settings that a study may change on its way, as far as they do."""
    return {
        part: changed
        for part, fields in AMENDABLE.items()
        if (
            changed := {f: v for f in fields if (v := getattr(getattr(new, part), f)) != getattr(getattr(old, part), f)}
        )
    }


def differences(old: StudySpec, new: StudySpec) -> list[str]:
    """What two specs of one study disagree about beyond what it may change on its way: one line each."""
    a, b = _flatten(_fixed(old)), _flatten(_fixed(new))
    values = [
        f"{key}: {a.get(key, 'absent')!r} before, {b.get(key, 'absent')!r} now"
        for key in dict.fromkeys([*a, *b])
        if repr(a.get(key)) != repr(b.get(key))  # 1 and True are equal, but not the same option
    ]
    return (
        values
        + _order("space", old.space, new.space)
        + _order("objectives", old.objectives.names, new.objectives.names)
        + _order("limits", old.objectives.limited_to_dict(), new.objectives.limited_to_dict())
    )


def _order(what: str, old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Coordinates follow the order, so another order of the same names is another study."""
    a, b = list(old), list(new)
    if a == b or sorted(a) != sorted(b):
        return []
    return [f"{what}: order {', '.join(a)} before, {', '.join(b)} now"]


def _fixed(spec: StudySpec) -> dict[str, Any]:
    """The part of a spec that a study cannot change once it has trials."""
    data = spec.to_dict()
    for part, fields in AMENDABLE.items():
        for field in fields:
            data[part].pop(field, None)
    data["search"].pop("sources", None)
    data.get("datasets", {}).pop("contents", None)  # known once the study runs, and compared then
    return data


def _flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
