"""Several candidates chosen together, so that what they are worth as a batch is largest.

The best of q points is expected to improve by what the first one improves, and what the second one adds to that, and so
on; `acquire` knows each addend in closed form, given draws of the points before. Taken greedily, each point as good as
it can be after those before it, a batch has at least 63 % of the largest worth (Wilson et al., 2018, arXiv:1805.10196,
section 4). From there it climbs by block-coordinate ascent: one candidate after the other is searched anew given all
others, and moves where the batch becomes worth more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from paretune.algorithms._gp.optimize import Candidate
from paretune.space import Config

Added: TypeAlias = Callable[[Config, Sequence[Config]], float]
"""The logarithm of what trying a configuration adds to trying others."""

Best: TypeAlias = Callable[[Sequence[Config]], Candidate]
"""The configuration that adds most to others."""

TOGETHER = 8
"""The most that are chosen together: the time grows with their square."""

FINER = 8
"""Times as many draws as a single candidate is judged by: a batch that is moved to suit few of them is worth no more
under others. (Three batches of 4 points in 4 parameters, 8 sets of hyperparameters: .965 of what BoTorch's joint
optimum under the most probable ones is worth with 32 draws, as much as before they were moved; .978 with 512.)"""

_ROUNDS = 3


def improved(batch: Sequence[Config], best: Best, added: Added) -> list[Candidate]:
    """A batch that is worth at least as much as the given one; each value is what its candidate adds."""
    configs, values = list(batch), _values(batch, added)
    for _ in range(_ROUNDS):
        before = list(configs)
        for place in range(len(configs)):
            found = best([*configs[:place], *configs[place + 1 :]]).config
            moved = [*configs[:place], found, *configs[place + 1 :]]
            others = [*values[:place], *_values(moved, added, first=place)]
            if worth(others) > worth(values):
                configs, values = moved, others
        if configs == before:
            break
    return [Candidate(dict(config), value) for config, value in zip(configs, values, strict=True)]


def worth(values: Sequence[float]) -> float:
    """The logarithm of what a batch improves, from what each candidate adds to those before it."""
    return float(np.logaddexp.reduce(values))


def _values(configs: Sequence[Config], added: Added, *, first: int = 0) -> list[float]:
    return [added(configs[place], configs[:place]) for place in range(first, len(configs))]
