"""By how much a new outcome betters what there is: improvement of one objective, growth of the hypervolume of several.

Legend: k members, s draws, p points that there are, t new ones, m objectives; standardised minimised units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch

from paretune.algorithms._gp.boxes import Boxes
from paretune.algorithms._gp.improvement import log_expected_improvement, log_expected_overlap, log_mean_exp

Moments: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Means, shape (k, t, s), and standard deviations, shape (k, t, 1)."""


class Gain:
    """The expected gain over the best of the values, or over their front; those that are not kept do not count."""

    def __init__(self, values_kspm: torch.Tensor, kept_ksp: torch.Tensor, reference_m: torch.Tensor) -> None:
        self._boxes: Boxes | None = None
        if len(reference_m) > 1:
            self._boxes = Boxes(values_kspm, kept_ksp, reference_m)
        else:
            worst = values_kspm.amax() + 1.0
            self._best_k1s = torch.where(kept_ksp, values_kspm[..., 0], worst).amin(-1)[:, None, :]

    def __call__(self, moments: Sequence[Moments]) -> torch.Tensor:
        """The logarithm for points of given moments, one pair for each objective; shape (t,)."""
        if self._boxes is None:
            ((mean_kts, sd_kt1),) = moments
            return log_mean_exp(log_expected_improvement(mean_kts, sd_kt1, self._best_k1s), (0, 2))
        overlaps_ktsc = sum(
            log_expected_overlap(mean_kts[..., None], sd_kt1[..., None], lower_k1sc, upper_k1sc)
            for (mean_kts, sd_kt1), lower_k1sc, upper_k1sc in zip(
                moments, self._boxes.lower, self._boxes.upper, strict=True
            )
        )
        assert isinstance(overlaps_ktsc, torch.Tensor)
        volumes_kts = torch.logsumexp(overlaps_ktsc.masked_fill(~self._boxes.real_k1sc, -torch.inf), -1)
        return log_mean_exp(volumes_kts, (0, 2))


def log_within(moments: Moments, limit: float) -> torch.Tensor:
    """The logarithm of the probability of an outcome's keeping its limit; shape (t,)."""
    mean_kts, sd_kt1 = moments
    return log_mean_exp(torch.special.log_ndtr((limit - mean_kts) / sd_kt1), (0, 2))
