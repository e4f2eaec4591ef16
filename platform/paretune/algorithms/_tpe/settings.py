"""What may be set about the tree-structured Parzen estimator. Imports no optuna: a spec is checked with it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from paretune.algorithms._settings import Settings


class TPE(Settings):
    """The tree-structured Parzen estimator; every field left out is chosen automatically.

    `initial` is how many trials the space-filling start has, the default configuration included; `candidates` how many
    draws from the good trials' density each suggestion is chosen from; `multivariate` whether parameters that are
    always present together share one density (by default with one objective only).
    """

    algorithm: ClassVar[str] = "tpe"

    initial: int = Field(default=10, ge=1)
    candidates: int = Field(default=24, ge=1)
    multivariate: bool | None = None
