"""Ranks that are slower than the others of their gang.

A rank is slow in a report that took it more than 1.5 times the median of all ranks, and a second longer; it straggles
once it has been slow in three reports on end. Of an even number of ranks the median is the lower one: of two ranks, the
faster. Ranks that wait for each other in every step take the same time: what tells them apart is their loop's to say,
and the runs of `paretune.train` do.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Mapping

SLOW = 1.5  # times the median
AT_LEAST_S = 1.0  # what is less comes and goes
OFTEN = 3  # reports on end: fewer may be hiccups


class Pace:
    """The times of one attempt's ranks."""

    def __init__(self) -> None:
        self._slow: Counter[int] = Counter()

    def straggling(self, seconds: Mapping[int, float], known: Collection[int] = ()) -> dict[int, float | None]:
        """The ranks that straggle since this report, each told once, and how many times the median they take.

        `seconds` is what the report took each rank; `known` are those that were slow by a better measure.
        """
        usual_s = statistics.median_low(seconds.values())
        found: dict[int, float | None] = {}
        for rank, took_s in seconds.items():
            late = took_s > max(SLOW * usual_s, usual_s + AT_LEAST_S)
            slow = late or rank in known
            self._slow[rank] = self._slow[rank] + 1 if slow or self._slow[rank] >= OFTEN else 0
            if self._slow[rank] == OFTEN:
                found[rank] = took_s / max(usual_s, 1e-9) if late else None
        return found
