"""What may be set about grid search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from paretune.algorithms._settings import Settings

Points: TypeAlias = Annotated[int, Field(ge=1)]


class Grid(Settings):
    """Every combination of values, once each.

    `points` is how many values a continuous parameter takes, both ends among them, for all of them or by name; by name
    a discrete parameter can be thinned too. `order` is "random" (shuffled by the study's seed, so that a part of the
    grid covers the space) or "sequential" (the last parameter moves first).
    """

    algorithm: ClassVar[str] = "grid"

    points: Points | Mapping[str, Points] = 5
    order: Literal["random", "sequential"] = "random"
