"""The settings of schedulers: typed, frozen, validated once.

ASHA(reduction_factor=4)                             in Python
scheduler: {name: asha, reduction_factor: 4}         in a spec file
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """What may be set about any scheduler. `scheduler` is the name of its own.

    `resource` is the metric that says how far a trial is, as tokens or seconds; every report must then have it. Left
    out it is `epoch`, or else the number of reports. `max_resource` is its value at the end of a whole training, where
    that is not what `epochs` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    scheduler: ClassVar[str]

    resource: str | None = Field(default=None, min_length=1)
    max_resource: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Halving(Settings):
    """What the schedulers with rungs share: rungs at `grace`, then each `reduction_factor` times the one before."""

    grace: float = Field(default=1, gt=0, allow_inf_nan=False)
    reduction_factor: int = Field(default=3, ge=2)


class ASHA(Halving):
    """Asynchronous successive halving; of the trials that reach a rung, one in `reduction_factor` goes on.

    With `kind` "stop" a trial is judged when it gets to a rung, and ends there unless it is among the best so far.
    With "promote" it is paused, and goes on from its checkpoint once it is among the best and workers are free.
    `brackets` of trials leave out the first 0, 1, 2 ... rungs, where early results mislead.
    """

    scheduler: ClassVar[str] = "asha"

    kind: Literal["stop", "promote"] = "stop"
    brackets: int = Field(default=1, ge=1)


class Hyperband(Halving):
    """Hyperband: brackets of successive halving that wait for a rung to be complete before they promote its best.

    `brackets` of them take turns, from the one that begins at `grace` on; all there are unless it is given.
    """

    scheduler: ClassVar[str] = "hyperband"

    brackets: int | None = Field(default=None, ge=1)


class Median(Settings):
    """The median rule: a trial ends whose running mean is worse than the median of the others' at that resource.

    None ends before `grace`, or before `others` trials have come as far.
    """

    scheduler: ClassVar[str] = "median"

    grace: float = Field(default=1, gt=0, allow_inf_nan=False)
    others: int = Field(default=5, ge=1)


class PBT(Settings):
    """Population based training: a population of trials, the worst of which go on as changed copies of the best.

    Every `interval` (a tenth of the training unless given), the worst `quantile` of the `population` is replaced:
    a new trial takes up the checkpoint of one of the best `quantile`, with other values of the parameters in `tune`
    (all of them unless given). A value is drawn anew with the probability `resample`, else made a fifth smaller or
    larger. Every report, or at least one before each interval, must come with a checkpoint.
    """

    scheduler: ClassVar[str] = "pbt"

    population: int = Field(default=8, ge=2)
    interval: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    resample: float = Field(default=0.25, ge=0, le=1)
    tune: list[str] | None = Field(default=None, min_length=1)

    def share(self, members: int) -> int:
        """How many of so many members the best, or the worst, are."""
        return int(self.quantile * members + 1e-9)  # 0.1 * 30 is less than 3 in binary


class OneEpochTopK(Settings):
    """Every trial trains up to `grace`; when all have, the best `keep` are trained to the end.

    All are as many as the study's `trials`: one that ends by its hours before that promotes nobody.
    """

    scheduler: ClassVar[str] = "one_epoch_topk"

    grace: float = Field(default=1, gt=0, allow_inf_nan=False)
    keep: int = Field(default=3, ge=1)
