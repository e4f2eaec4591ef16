"""A batch, one proposal after the other: each sees the ones before it as pending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from paretune.records import Proposal, Suggestion

Pending: TypeAlias = Sequence[Suggestion | Proposal]


def one_by_one(following: Callable[[Pending], Proposal], pending: Sequence[Suggestion], n: int) -> list[Proposal]:
    """n proposals, each made by `following` from what is pending by then."""
    ahead: list[Suggestion | Proposal] = list(pending)
    proposals: list[Proposal] = []
    for _ in range(n):
        proposals.append(following(ahead))
        ahead.append(proposals[-1])
    return proposals
