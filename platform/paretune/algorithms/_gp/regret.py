"""A bound on what is left to gain: Makarova et al. (2022, arXiv:2104.08166), section 3.

The regret of the best configuration so far is most likely at most the least upper confidence bound among those that
were evaluated, less the least lower confidence bound in the whole space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._base import Problem
from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import learn
from paretune.algorithms._gp.model import Model
from paretune.algorithms._gp.optimize import Search
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.table import results
from paretune.records import Observation

Array = npt.NDArray[np.float64]

_FAILURE = 0.1
"""The probability with which the bounds may fail; the paper's delta."""

_SHRINK = 5.0
"""By which the theory's beta is divided, as in the paper: it is far too careful (Srinivas et al., 2010, section 6)."""

_LEAST = 10
"""Results before which no bound is given: hyperparameters are the priors' until then, and so would be the bound."""

_SEED = 0  # of the search for the least lower bound: equal histories give equal bounds


def regret_bound(
    problem: Problem, history: Sequence[Observation], *, kernel: Kernel = "matern52", bend: bool = False
) -> float | None:
    """The bound in units of the one objective; None before there are enough results within the limits.

    `kernel` and `bend` as of `knowledge.learn`.
    """
    known = results(history, problem.objectives, problem.rungs)
    kept = [seen for seen in known if problem.objectives.feasible(seen.metrics)]
    if len(kept) < max(_LEAST, 2 * len(problem.space)):
        return None
    encoding = Encoding(problem.space)
    width = math.sqrt(confidence(len(problem.space), len(known)))
    with reproducible(_SEED):
        model = learn(history, problem.objectives, encoding, kernel=kernel, bend=bend, rungs=problem.rungs).model
        X_nf = encoding.features([seen.config for seen in kept])
        found = Search(_optimism(model, width), Cube(encoding), set()).best(
            [kept[0].config], np.random.default_rng(_SEED)
        )
        assert found is not None, "nothing is taken"
        lowest = min(_bounds(model, X_nf, -width).min(), -found.value)
        least_upper = _bounds(model, X_nf, width).min()
    upper, lower = _own_units(model, np.array([least_upper, lowest]))
    return max(0.0, float(upper - lower))


def confidence(dimensions: int, n: int) -> float:
    """The width's square after n results: Srinivas et al. (2010), theorem 1 with |D| = d, divided by 5."""
    return 2 * math.log(dimensions * n**2 * math.pi**2 / (6 * _FAILURE)) / _SHRINK


def _optimism(model: Model, width: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """The lower bound of the objective, standardised and turned round; shape (t,)."""

    def hope(X_tf: torch.Tensor) -> torch.Tensor:
        mean_kts, sd_kt1 = model.posteriors[0](X_tf)
        return (width * sd_kt1 - mean_kts).mean((0, 2))

    return hope


def _bounds(model: Model, X_tf: Array, width: float) -> Array:
    """Mean plus width standard deviations, standardised; shape (t,)."""
    with torch.no_grad():
        mean_kts, sd_kt1 = model.posteriors[0](torch.from_numpy(X_tf))
    return (mean_kts + width * sd_kt1).mean((0, 2)).numpy()


def _own_units(model: Model, z_t: Array) -> Array:
    """Standardised values of the objective in its own units; shape (t,)."""
    z_to = np.zeros((len(z_t), len(model.posteriors)))
    z_to[:, 0] = z_t
    return model.scale.restore(z_to, np.zeros_like(z_to))[0][:, 0]
