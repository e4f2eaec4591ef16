"""A bound on what is left to gain: Makarova et al. (2022, arXiv:2104.08166), section 3.

The regret of the best configuration so far is most likely at most the least upper confidence bound among those that
were evaluated, less the least lower confidence bound in the whole space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from paretune.algorithms._base import Problem
from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import learn, results
from paretune.algorithms._gp.optimize import Search
from paretune.algorithms._gp.surrogate import Surrogate
from paretune.records import Observation

_FAILURE = 0.1
"""The probability with which the bounds may fail; the paper's delta."""

_SHRINK = 5.0
"""By which the theory's beta is divided, as in the paper: it is far too careful (Srinivas et al., 2010, section 6)."""

_LEAST = 10
"""Results before which no bound is given: hyperparameters are the priors' until then, and so would be the bound."""

_SEED = 0  # of the search for the least lower bound: equal histories give equal bounds


def regret_bound(problem: Problem, history: Sequence[Observation]) -> float | None:
    """The bound in units of the one objective; None before there are enough results within the limits."""
    known = results(history, problem.objectives)
    kept = [seen for seen in known if problem.objectives.feasible(seen.metrics)]
    if len(kept) < max(_LEAST, 2 * len(problem.space)):
        return None
    encoding = Encoding(problem.space)
    width = math.sqrt(confidence(len(problem.space), len(known)))
    with reproducible(_SEED):
        surrogate = learn(history, problem.objectives, encoding).surrogate
        mean_nm, sd_nm = surrogate.predict(encoding.features([seen.config for seen in kept]))
        lowest = _least_lower_bound(surrogate, encoding, kept, width)
    least_upper = float((mean_nm + width * sd_nm)[:, 0].min())
    return max(0.0, least_upper - min(lowest, float((mean_nm - width * sd_nm)[:, 0].min())))


def confidence(dimensions: int, n: int) -> float:
    """The width's square after n results: Srinivas et al. (2010), theorem 1 with |D| = d, divided by 5."""
    return 2 * math.log(dimensions * n**2 * math.pi**2 / (6 * _FAILURE)) / _SHRINK


def _least_lower_bound(surrogate: Surrogate, encoding: Encoding, kept: Sequence[Observation], width: float) -> float:
    def optimism(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kts, sd_kt1 = surrogate.posteriors[0](X_tf)
        return (width * sd_kt1 - mean_kts).mean((0, 2))

    found = Search(optimism, Cube(encoding), set()).best([kept[0].config], np.random.default_rng(_SEED))
    assert found is not None, "nothing is taken"
    mean_1m, sd_1m = surrogate.predict(encoding.features([found.config]))
    return float((mean_1m - width * sd_1m)[0, 0])
