"""What may be set about BOHB. A spec is checked with it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from paretune.algorithms._settings import Settings


class BOHB(Settings):
    """Chance and a density ratio of the highest rung that has enough results.

    `random` is the share of suggestions that is left to chance, `candidates` how many draws from the good trials'
    density each of the others is chosen from, `good` the share of a rung's results that is good, `enough` how many
    results a rung must have: one more than there are parameters unless given.
    """

    algorithm: ClassVar[str] = "bohb"

    random: float = Field(default=1 / 3, ge=0, le=1)
    candidates: int = Field(default=64, ge=1)
    good: float = Field(default=0.15, gt=0, lt=1)
    enough: int | None = Field(default=None, ge=2)
