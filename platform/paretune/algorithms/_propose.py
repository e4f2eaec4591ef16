"""From proposals to suggestions: the one place where an algorithm's random generator is made."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from paretune.algorithms._base import Algorithm
from paretune.records import Observation, Suggestion


def propose(
    algorithm: Algorithm,
    *,
    name: str,
    history: Sequence[Observation],
    pending: Sequence[Suggestion],
    n: int,
    seed: int,
    first_id: int,
    history_position: int,
) -> list[Suggestion]:
    """Ask for n suggestions, numbered from `first_id`.

    The generator of suggestion i is seeded with (seed, i), and each suggestion of a batch has the ones before it
    among its pending ones. So a suggestion depends on its own number, the history and what is pending, and not on how
    many were asked for at once: a log replays one by one. An algorithm that is `joint` is asked for all at once, with
    the generator of the first: they share what is pending, and none has the others among it. `history_position` is the
    log's length that `history` was taken at; `seconds` is the wall time each one took.
    """
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    together = n if getattr(algorithm, "joint", False) else 1
    waiting = list(pending)
    for number in range(first_id, first_id + n, together):
        began = time.perf_counter()
        proposals = algorithm.suggest(history, waiting, n=together, rng=np.random.default_rng([seed, number]))
        seconds, under_way = (time.perf_counter() - began) / together, tuple(suggestion.id for suggestion in waiting)
        waiting += [
            Suggestion(
                id=number + i,
                proposal=proposal,
                algorithm=name,
                history_position=history_position,
                pending=under_way,
                seconds=seconds,
            )
            for i, proposal in enumerate(proposals)
        ]
    return waiting[len(pending) :]
