"""How much trying a configuration is worth.

Noisy expected improvement for one objective, noisy expected hypervolume improvement for several. What the observed
leaders are really worth, and what the pending trials will return, is imagined several times over (Letham et al., 2019,
arXiv:1706.07094; Daulton et al., 2021, arXiv:2105.08195); given one such draw, the expectation over the new point is
in closed form (`improvement`), so that the acquisition is smooth and its gradient cheap.

Legend: b leaders, p imagined points (leaders, then pending), t test points, f columns, m objectives, o outcomes (the
objectives, then other metrics under a limit), k members, s draws; everything in standardised minimised units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm, qmc

from paretune.algorithms._gp.belief import Belief
from paretune.algorithms._gp.cost import Cost
from paretune.algorithms._gp.criteria import CRITERIA, View
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.gain import Gain, log_within
from paretune.algorithms._gp.model import Model, Process

Array = npt.NDArray[np.float64]

_DRAWS = {1: 32, 2: 16, 3: 8, 4: 4}
"""By the number of objectives, shared out among the members: each draw has its own front, which is cut into the more
boxes the more objectives."""
_FEWEST = 4  # draws of a member

_CAUTION = 2.0
"""The power of a limit's probability. Where the best lies on a limit, expected improvement alone (1) has most of its
worth beyond it: of 4 searches of 40 trials of Gramacy's problem, and of Branin's with a limit, 59 % and 33 % of the
trials were beyond it; with 2, 43 % and 18 %, and the best values within were the same to 1e-4; with 4 the first had
28 %, and a best value worse by 1e-3. Without a limit it is 93 % and 88 % (3
searches). Chosen on these two problems, with an earlier engine."""


class Acquisition:
    """The logarithm of the expected improvement, times the probability of ending well where trials have failed.

    `leaders_bf` are the observed points that may be the best (or on the front), `pending_pf` what is under way;
    `limits_o` are infinite where there is none; `belief` is what the user's beliefs add, and improvement is per `cost`
    where there is one. For one objective another `criterion` may stand for noisy expected improvement (see `criteria`);
    `anchors_af` are points all over the space; `finer` is by how much the usual number of draws is multiplied.
    """

    def __init__(
        self,
        model: Model,
        *,
        leaders_bf: Array,
        pending_pf: Array,
        reference_m: Array,
        limits_o: Array,
        feasibility: Feasibility | None,
        belief: Belief | None = None,
        cost: Cost | None = None,
        criterion: str | None = None,
        anchors_af: Array | None = None,
        finer: int = 1,
        seed: int,
    ) -> None:
        self._feasibility, self._belief, self._cost = feasibility, belief, cost
        self._limits = [(j, float(limit)) for j, limit in enumerate(limits_o) if np.isfinite(limit)]
        imagined_pf = torch.from_numpy(np.concatenate([leaders_bf, pending_pf]))
        self._m = m = len(reference_m)
        members = model.posteriors[0].members
        draws = finer * max(_FEWEST, _DRAWS[m] // members)
        normal_osp = _normal(len(limits_o), draws, len(imagined_pf), seed)
        with torch.no_grad():
            grown = [
                posterior.imagine(imagined_pf, normal_sp)
                for posterior, normal_sp in zip(model.posteriors, normal_osp, strict=True)
            ]
        self._posteriors = [posterior for posterior, _ in grown]
        values_kspo = torch.stack([values_ksp for _, values_ksp in grown], dim=-1)
        kept_ksp = (values_kspo <= torch.from_numpy(limits_o)).all(-1)
        self._gain = Gain(values_kspo[..., :m], kept_ksp, torch.from_numpy(reference_m))
        self._criterion = (
            None
            if criterion is None
            else CRITERIA[criterion](_view(model.posteriors[0], leaders_bf, pending_pf, anchors_af, seed))
        )

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The value of each point by itself; shape (t,)."""
        moments = [posterior(X_tf) for posterior in self._posteriors]
        value_t = self._gain(moments[: self._m]) if self._criterion is None else self._criterion(X_tf)
        for j, limit in self._limits:
            value_t = value_t + _CAUTION * log_within(moments[j], limit)
        if self._belief is not None:
            value_t = value_t + self._belief(X_tf)
        if self._cost is not None:
            value_t = value_t - self._cost(X_tf)
        return value_t if self._feasibility is None else value_t + self._feasibility.log_probability(X_tf)


def _view(known: Process, leaders_bf: Array, pending_pf: Array, anchors_af: Array | None, seed: int) -> View:
    """What the other criteria look at: they take the leaders at their expected values."""
    assert anchors_af is not None
    leaders, pending = torch.from_numpy(leaders_bf), torch.from_numpy(pending_pf)
    with torch.no_grad():
        best_k11 = known(leaders)[0].amin(1, keepdim=True)
        if not len(pending):
            waiting, best_k1s = known, best_k11
        else:
            waiting, values_ksp = known.imagine(pending, _normal(1, _FEWEST, len(pending), seed)[0])
            best_k1s = torch.minimum(best_k11, values_ksp.amin(-1)[:, None, :])
    anchors = torch.cat([leaders, pending, torch.from_numpy(anchors_af)])
    return View(known, waiting, best_k1s, anchors, seed)


def _normal(o: int, draws: int, points: int, seed: int) -> torch.Tensor:
    """Quasi-random standard normal numbers; shape (o, draws, points)."""
    sequence = qmc.Sobol(o * points, scramble=True, rng=np.random.default_rng(seed))
    uniform = np.clip(sequence.random(draws), 1e-6, 1 - 1e-6)
    return torch.from_numpy(norm.ppf(uniform).reshape(draws, o, points).swapaxes(0, 1).copy())
