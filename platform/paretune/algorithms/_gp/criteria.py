"""What makes a point worth trying, for one objective: the criteria that may be chosen instead of noisy improvement.

A criterion maps points (t, f) to the logarithm of something positive, shape (t,), differentiable, so that the
probabilities of keeping limits and of ending well can weigh it. All are means over the members.

Legend: a anchors (points that stand for the whole space), t test points, f columns, k members, s draws, q nodes;
standardised minimised units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from paretune.algorithms._gp.improvement import log_expected_improvement, log_mean_exp
from paretune.algorithms._gp.model import Process

Criterion: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

_BETA = 2.0  # standard deviations of confidence: a bound that holds at 39 of 40 points
_NODES = 9  # of the quadrature over a new result's value: more changed no choice
_SMALLEST = 1e-12  # what a criterion is at least, so that it has a logarithm


@dataclass(frozen=True, slots=True)
class View:
    """What criteria look at.

    `known` is the posterior given all results, `waiting` also given draws of what is pending, `best_k1s` the least
    expected value of a leader or drawn value of a pending trial, whichever is less.
    """

    known: Process
    waiting: Process
    best_k1s: torch.Tensor
    anchors_af: torch.Tensor
    seed: int


def log_expected(view: View) -> Criterion:
    """Expected improvement on the least expected value (Jones et al., 1998, equation 15), its logarithm."""
    return lambda X_tf: log_mean_exp(log_expected_improvement(*view.waiting(X_tf), view.best_k1s), (0, 2))


def log_probability(view: View) -> Criterion:
    """The probability of any improvement (Kushner, 1964), its logarithm."""

    def criterion(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kts, sd_kt1 = view.waiting(X_tf)
        return log_mean_exp(torch.special.log_ndtr((view.best_k1s - mean_kts) / sd_kt1), (0, 2))

    return criterion


def confidence_bound(view: View) -> Criterion:
    """How far the lower confidence bound is below the best (Srinivas et al., 2010, equation 6), made positive."""

    def criterion(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kts, sd_kt1 = view.waiting(X_tf)
        return _log_softplus((view.best_k1s - mean_kts + _BETA * sd_kt1).mean((0, 2)))

    return criterion


def thompson(view: View) -> Criterion:
    """How far one function drawn from the posterior is below the best (Thompson, 1933), made positive.

    The function is drawn at the anchors, and what it is between them is its mean.
    """
    normal_1a = torch.from_numpy(np.random.default_rng(view.seed).standard_normal((1, len(view.anchors_af))))
    member = view.seed % view.known.members
    with torch.no_grad():
        drawn, _ = view.known.imagine(view.anchors_af, normal_1a)

    def criterion(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kt1, _ = drawn(X_tf)
        return _log_softplus(view.best_k1s[member].mean() - mean_kt1[member, :, 0])

    return criterion


def max_value_entropy(view: View) -> Criterion:
    """What a result tells of the least value (Wang and Jegelka, 2017, equation 6), which is drawn at the anchors."""
    rng = np.random.default_rng(view.seed)
    normal_sa = torch.from_numpy(rng.standard_normal((16, len(view.anchors_af))))
    with torch.no_grad():
        _, values_ksa = view.known.imagine(view.anchors_af, normal_sa)
        least_k1s = values_ksa.amin(-1)[:, None, :]

    def criterion(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kts, sd_kt1 = view.waiting(X_tf)
        above = ((mean_kts.mean(-1, keepdim=True) - least_k1s) / sd_kt1).clamp_min(-20.0)
        log_cdf = torch.special.log_ndtr(above)
        ratio = torch.exp(-0.5 * above**2 - 0.5 * np.log(2 * np.pi) - log_cdf)
        information_t: torch.Tensor = (above * ratio / 2 - log_cdf).mean((0, 2))
        return information_t.clamp_min(_SMALLEST).log()

    return criterion


def knowledge_gradient(view: View) -> Criterion:
    """By how much the least expected value of all anchors falls with a result (Frazier et al., 2009, section 2.2)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    z_q, w_q = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    with torch.no_grad():
        mean_ka1, _ = view.waiting(view.anchors_af)
        mean_ka = mean_ka1.mean(-1)

    def criterion(X_tf: torch.Tensor) -> torch.Tensor:
        slope_kta = view.waiting.covariance(X_tf, view.anchors_af) / view.waiting(X_tf)[1]
        moved_ktaq = mean_ka[:, None, :, None] + slope_kta[..., None] * z_q
        gain_kt = mean_ka.amin(-1)[:, None] - (moved_ktaq.amin(-2) * w_q).sum(-1)
        return gain_kt.mean(0).clamp_min(_SMALLEST).log()

    return criterion


CRITERIA: dict[str, Callable[[View], Criterion]] = {
    "log_ei": log_expected,
    "log_pi": log_probability,
    "ucb": confidence_bound,
    "thompson": thompson,
    "max_value_entropy": max_value_entropy,
    "knowledge_gradient": knowledge_gradient,
}


def _log_softplus(x: torch.Tensor) -> torch.Tensor:
    """log(log(1 + exp(x))): it rises everywhere, and is x where x is far below zero."""
    softplus = torch.nn.functional.softplus(x)
    return torch.where(x < -30, x, softplus.clamp_min(1e-30).log())
