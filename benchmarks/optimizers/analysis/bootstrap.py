"""Means over tasks and their intervals. Legend: T tasks, s seeds of a task (they may differ), k columns.

Tasks are fixed and seeds are resampled within each (Efron, 1979): an interval says how much other seeds would change a
mean, not how an optimizer does on other tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95


def mean(scores_sk: Sequence[Array]) -> Array:
    """The mean over tasks of the means over seeds; one array (s, k) per task; shape (k,)."""
    return np.asarray(np.mean([task_sk.mean(axis=0) for task_sk in scores_sk], axis=0))


def interval(scores_sk: Sequence[Array], *, seed: int = 0) -> tuple[Array, Array]:
    """The percentile interval of `mean`; NaN where a task has a single seed. Shapes (k,) each."""
    columns = scores_sk[0].shape[1]
    if min(len(task_sk) for task_sk in scores_sk) < 2:
        return np.full(columns, np.nan), np.full(columns, np.nan)
    means_bk = resampled(scores_sk, np.random.default_rng(seed))
    tail = 100 * (1 - LEVEL) / 2
    low_k, high_k = np.percentile(means_bk, [tail, 100 - tail], axis=0)
    return low_k, high_k


def resampled(scores_sk: Sequence[Array], rng: np.random.Generator) -> Array:
    """`mean` of resampled seeds, RESAMPLES times; shape (b, k)."""
    total_bk = np.zeros((RESAMPLES, scores_sk[0].shape[1]))
    for task_sk in scores_sk:
        drawn_bs = rng.integers(len(task_sk), size=(RESAMPLES, len(task_sk)))
        total_bk += task_sk[drawn_bs].mean(axis=1)
    return total_bk / len(scores_sk)


def ratio_interval(upper_sk: Sequence[Array], lower_sk: Sequence[Array], *, seed: int = 0) -> tuple[float, float]:
    """The interval of the ratio of two means of one column each; NaN with single seeds."""
    if min(len(task_sk) for task_sk in (*upper_sk, *lower_sk)) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    ratios_b = resampled(upper_sk, rng)[:, 0] / resampled(lower_sk, rng)[:, 0]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(ratios_b, [tail, 100 - tail])
    return float(low), float(high)


def ranks(scores: Mapping[str, Mapping[str, Mapping[int, float]]]) -> dict[str, float]:
    """The mean rank over tasks of every peer; scores are peer -> task -> seed -> score, the least is the best.

    A peer's rank on a task is one, and one more for every other with a lower mean on the seeds that both have. Equals
    count half each, and so do two without a common seed.
    """
    return {
        peer: 1 + sum(_lost(by_task, scores[other]) for other in scores if other != peer)
        for peer, by_task in scores.items()
    }


def _lost(ours: Mapping[str, Mapping[int, float]], theirs: Mapping[str, Mapping[int, float]]) -> float:
    """The share of the tasks on which the other one is better."""
    lost = []
    for task, by_seed in ours.items():
        differences = [by_seed[seed] - theirs[task][seed] for seed in by_seed.keys() & theirs[task].keys()]
        lost.append((1 + np.sign(np.mean(differences))) / 2 if differences else 0.5)
    return float(np.mean(lost))
