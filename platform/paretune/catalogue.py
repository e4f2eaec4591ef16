"""What is found by its file: a folder of modules, each named after the one public class it defines.

Algorithms and schedulers are kept so: adding one is adding a file. Files whose names begin with an underscore are parts
of others. A class may name the class of its settings, `Settings`; one that does not has those of the catalogue.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from paretune.errors import InputError, nearest

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Catalogue(Generic[Kind]):
    """The modules of one package. `noun` is what they are called in messages, `error` what is raised about them."""

    package: str
    folder: Path
    noun: str
    plain: type[BaseModel]
    error: type[InputError]

    def names(self) -> list[str]:
        """All there are, without importing any."""
        found = pkgutil.iter_modules([str(self.folder)])
        return sorted(module.name for module in found if not module.name.startswith("_"))

    def check(self, name: str, settings: Mapping[str, Any]) -> None:
        """Raise for an unknown name or setting; imports nothing unless something is set."""
        known = self.names()
        if name not in known:
            hint = nearest(name, known)
            close = hint is not None and hint.startswith("did you mean")  # the message lists them all
            raise self.error(
                f"{self.noun}: must be one of {', '.join(known)}, got {name!r}", hint=hint if close else None
            )
        if settings:
            self.settings(name, settings)

    def kind(self, name: str) -> type[Kind]:
        """The class of that name, importing no other; raises for an unknown one."""
        self.check(name, {})
        return self._public_class(importlib.import_module(f"{self.package}.{name}"))

    def settings(self, name: str, given: Mapping[str, Any]) -> Any:
        """The settings of that name, validated; raises for an unknown or ill-valued one."""
        fields: type[BaseModel] = getattr(self.kind(name), "Settings", self.plain)
        try:
            return fields.model_validate(dict(given))
        except ValidationError as error:
            raise self._readable(error, name, fields) from None

    def _readable(self, error: ValidationError, name: str, fields: type[BaseModel]) -> InputError:
        """The most telling of pydantic's complaints, in our form."""
        first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
        path = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            known = list(fields.model_fields)
            hint = nearest(path[-1], known) if known else f"{name} has no settings"
            return self.error(f"{self.noun}: {name}: unknown setting {path[-1]!r}", hint=hint)
        message = first["msg"].removeprefix("Value error, ")
        return self.error(
            f"{self.noun}: {': '.join([name, *path])}: {message[0].lower()}{message[1:]}, got {first['input']!r}"
        )

    def _public_class(self, module: ModuleType) -> type[Kind]:
        found = [
            value
            for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__ and not key.startswith("_")
        ]
        if len(found) != 1:
            raise self.error(f"{module.__name__}: must define one public class, found {len(found)}")
        return found[0]
