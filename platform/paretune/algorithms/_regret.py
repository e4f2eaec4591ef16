"""How much there is left to gain, recorded with a suggestion of whatever algorithm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from paretune.algorithms._base import Problem
from paretune.records import Observation, Suggestion
from paretune.settings import AlgorithmSpec
from paretune.stopping import REGRET_BOUND


def bound_regret(
    suggestion: Suggestion, problem: Problem, history: Sequence[Observation], algorithm: AlgorithmSpec
) -> Suggestion:
    """The suggestion with a bound of the regret after `history`, for the rule `regret`; without one while it is early.

    It depends on the history alone and leaves the configuration as it is. The model is that of `gp`, with its settings
    where that is the algorithm.
    """
    from paretune.algorithms._gp.regret import regret_bound  # imports torch, which few algorithms need
    from paretune.algorithms._gp.settings import GP

    began = time.perf_counter()
    settings = GP.model_validate(algorithm.settings if algorithm.name == "gp" else {})
    bound = regret_bound(problem, history, kernel=settings.kernel, bend=settings.input_warping)
    if bound is None:
        return suggestion
    proposal = replace(suggestion.proposal, notes={**suggestion.proposal.notes, REGRET_BOUND: bound})
    return replace(suggestion, proposal=proposal, seconds=suggestion.seconds + time.perf_counter() - began)
