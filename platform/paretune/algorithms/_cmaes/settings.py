"""What may be set about covariance matrix adaptation."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from paretune.algorithms._settings import Settings


class CMAES(Settings):
    """CMA-ES, an evolution strategy that learns the shape of the valley; every field left out is chosen automatically.

    `population` is how many trials make a generation (4 + 3 ln d, doubled by each restart), the first of which is
    space-filling; `sigma` the first generations' standard deviation, in units of each parameter's range.
    """

    algorithm: ClassVar[str] = "cmaes"

    population: int | None = Field(default=None, ge=4)
    sigma: float = Field(default=0.3, gt=0, le=1)
