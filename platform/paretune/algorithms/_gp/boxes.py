"""What a front does not dominate, cut into boxes.

Legend: k members, s draws, p points, m objectives, c boxes; minimised, up to the reference.
"""

from __future__ import annotations

import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning


class Boxes:
    """The boxes of every draw's front, padded to an equal number; `real_k1sc` tells which are no padding.

    `lower` and `upper` hold one tensor of shape (k, 1, s, c) per objective; the outermost lower ones are -inf.
    """

    def __init__(self, values_kspm: torch.Tensor, kept_ksp: torch.Tensor, reference_m: torch.Tensor) -> None:
        k, s, _, m = values_kspm.shape
        decompose = _strips if m == 2 else _cells
        found = [decompose(values_kspm[i, j][kept_ksp[i, j]], reference_m) for i in range(k) for j in range(s)]
        most = max(len(lower_cm) for lower_cm, _ in found)
        lower_nscm = torch.zeros(k * s, most, m, dtype=values_kspm.dtype)
        upper_nscm = torch.ones(k * s, most, m, dtype=values_kspm.dtype)
        real = torch.zeros(k * s, most, dtype=torch.bool)
        for row, (lower_cm, upper_cm) in enumerate(found):
            lower_nscm[row, : len(lower_cm)], upper_nscm[row, : len(upper_cm)] = lower_cm, upper_cm
            real[row, : len(lower_cm)] = True
        self.lower = [part.reshape(k, 1, s, most) for part in lower_nscm.unbind(-1)]
        self.upper = [part.reshape(k, 1, s, most) for part in upper_nscm.unbind(-1)]
        self.real_k1sc = real.reshape(k, 1, s, most)


def _strips(values_pm: torch.Tensor, reference_m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two objectives: a strip between every two neighbours of the front, open downwards."""
    inside = values_pm[(values_pm < reference_m).all(-1)]
    order = torch.argsort(inside[:, 0], stable=True)
    first, second = inside[order].unbind(-1)
    if len(second):
        before = torch.cat([reference_m[1:], torch.cummin(second, 0).values[:-1]])
        first, second = first[second < before], second[second < before]
    open_ = torch.full_like(reference_m[:1], -torch.inf)
    lower = torch.stack([torch.cat([open_, first]), open_.expand(len(first) + 1)], dim=-1)
    upper = torch.stack([torch.cat([first, reference_m[:1]]), torch.cat([reference_m[1:], second])], dim=-1)
    return lower, upper


def _cells(values_pm: torch.Tensor, reference_m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Any number of objectives, by BoTorch, which maximises."""
    partitioning = FastNondominatedPartitioning(ref_point=-reference_m, Y=-values_pm)
    lower_cm, upper_cm = partitioning.get_hypercell_bounds()
    return -upper_cm, -lower_cm
