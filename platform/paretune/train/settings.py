"""Read a trial's configuration into a dataclass of settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from paretune.errors import SpecError, nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SettingsT = TypeVar("SettingsT", bound="DataclassInstance")


def read_settings(cls: type[SettingsT], config: Mapping[str, Any]) -> SettingsT:
    """`cls(**config)`: absent keys take the dataclass's defaults, e.g. a momentum that the optimizer has no use for.

    Raises SpecError for a key that `cls` does not have: a parameter that nothing reads would be searched in vain.
    """
    known = [field.name for field in fields(cls)]
    for key in config:
        if key not in known:
            raise SpecError(f"{cls.__name__}: unknown config key {key!r}", hint=nearest(key, known))
    return cls(**config)
