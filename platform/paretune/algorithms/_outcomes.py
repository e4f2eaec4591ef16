"""What became of the trials, as the algorithms that rank need it: no model, no torch.

Legend: n results, m objectives, o outcomes: the objectives, then other metrics under a limit; Y_nm, Y_no minimised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from paretune.objective import Objectives
from paretune.records import Observation
from paretune.space import Config

Array = npt.NDArray[np.float64]

_LARGEST = 1e100  # differences of larger values overflow when they are multiplied


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The results in the order in which they ended, and the configurations that came to nothing.

    `places_n` says which trials of the history the results are; `violation_n` sums by how much the limits are missed,
    each in units of its worst miss: 0 where all are kept.
    """

    places_n: list[int]
    configs: list[Config]
    Y_nm: Array
    violation_n: Array
    lost: list[Config]

    def ranks(self) -> Array:
        """Each objective's values as ranks in (0, 1], equal ones averaged; shape (n, m).

        What only the order decides is then decided alike for a loss of 1e-6 and one of 1e30.
        """
        n = max(1, len(self.Y_nm))
        return np.asarray(rankdata(self.Y_nm, axis=0) / n, dtype=np.float64)

    def scores(self, trials: int) -> Array:
        """One objective's order over all trials of the history, less is better; shape (trials,).

        What misses a limit comes after what keeps it, by its violation alone; infinity for what came to nothing.
        """
        y_n, kept_n = self.Y_nm[:, 0], self.violation_n <= 0
        rank_n = rankdata(np.where(kept_n, y_n, np.inf), method="dense") + np.where(kept_n, 0.0, self.violation_n)
        score_t = np.full(trials, np.inf)
        score_t[self.places_n] = rank_n
        return score_t


def outcomes(history: Sequence[Observation], objectives: Objectives) -> Outcomes:
    """Sort a history into results (what ran, with all that is required) and what failed or diverged."""
    places_n = [place for place, observation in enumerate(history) if ended_well(observation, objectives)]
    known = [history[place] for place in places_n]
    values = [objectives.outcomes(observation.metrics) for observation in known]
    limits_o = objectives.limits()
    Y_no = np.clip(np.array(values, dtype=np.float64).reshape(len(known), len(limits_o)), -_LARGEST, _LARGEST)
    return Outcomes(
        places_n=places_n,
        configs=[observation.config for observation in known],
        Y_nm=Y_no[:, : len(objectives)],
        violation_n=_violation(Y_no, limits_o),
        lost=[observation.config for observation in history if not ended_well(observation, objectives)],
    )


def ended_well(observation: Observation, objectives: Objectives) -> bool:
    """With all that is required, and neither failed nor diverged. One not at its end counts as what it had reached."""
    return observation.status not in ("failed", "diverged") and not objectives.missing(observation.metrics)


def _violation(Y_no: Array, limits_o: Array) -> Array:
    if len(Y_no) == 0:
        return np.zeros(0)
    miss_no = np.maximum(Y_no - limits_o, 0.0)
    worst_o = miss_no.max(axis=0)
    return np.asarray((miss_no / np.where(worst_o > 0, worst_o, 1.0)).sum(axis=1))
