"""How much there is left to gain, recorded with a suggestion of whatever algorithm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from paretune.algorithms._base import Problem
from paretune.records import Observation, Suggestion
from paretune.stopping import REGRET_BOUND


def bound_regret(suggestion: Suggestion, problem: Problem, history: Sequence[Observation]) -> Suggestion:
    """The suggestion with a bound of the regret after `history`, for the rule `regret`; without one while it is early.

    It depends on the history alone and leaves the configuration as it is.
    """
    from paretune.algorithms._gp.regret import regret_bound  # imports torch, which few algorithms need

    began = time.perf_counter()
    bound = regret_bound(problem, history)
    if bound is None:
        return suggestion
    proposal = replace(suggestion.proposal, notes={**suggestion.proposal.notes, REGRET_BOUND: bound})
    return replace(suggestion, proposal=proposal, seconds=suggestion.seconds + time.perf_counter() - began)
