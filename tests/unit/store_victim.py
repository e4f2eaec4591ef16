"""A process that writes to a study until it is killed: `python store_victim.py LOCATION RUN`.

The position alone decides what is written there, but for the run's number, which each entry carries. It tells where it
begins, and after every flush up to where the log is stored.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace

from store_samples import trial_entries

from paretune import store
from paretune.records import Entry, Report
from paretune.store import _maintenance


def entry_at(position: int, run: int) -> Entry:
    trial, within = divmod(position, 6)
    entry = trial_entries(trial * 6, trial)[within]
    if isinstance(entry, Report):
        return replace(entry, metrics={"run": float(run)})
    return replace(entry, reason=str(run))


def main() -> None:
    location, run = sys.argv[1], int(sys.argv[2])
    _maintenance.COMMITS = 4  # so that kills fall into maintenance as well
    rng = random.Random(run)
    writer = store.Writer(location, "cnn")
    print("opened", writer.position, flush=True)
    while True:
        for _ in range(rng.randint(1, 8)):
            writer.append(entry_at(writer.position, run))
        writer.flush()
        print("flushed", writer.position, flush=True)


if __name__ == "__main__":
    main()
