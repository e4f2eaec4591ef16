"""The settings of an algorithm: typed, frozen, validated once.

    GP(initial=8)                       in Python
    algorithm: {name: gp, initial: 8}   in a spec file

A field left at its default is chosen by the algorithm, or by evidence.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """What may be set about an algorithm: nothing, unless a subclass says so. `algorithm` is the name of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    algorithm: ClassVar[str]
