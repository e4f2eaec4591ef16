"""What may be set about evolutionary search."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from paretune.algorithms._settings import Settings


class Evolution(Settings):
    """Evolutionary search (NSGA-II); every field left out is chosen automatically.

    `population` is how many of the best trials are parents, and how many trials the space-filling start has;
    `crossover` the probability that a child has two parents; `mutation` how many of its parameters change on average.
    """

    algorithm: ClassVar[str] = "evolution"

    population: int = Field(default=16, ge=4)
    crossover: float = Field(default=0.9, ge=0, le=1)
    mutation: float = Field(default=1.0, gt=0)
