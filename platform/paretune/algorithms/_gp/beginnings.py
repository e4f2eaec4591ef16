"""What lower rungs tell of whole trainings: to a model of the ends alone they are what earlier studies are.

Each rung is a Gaussian process of its own; the ends decide, as they do of earlier studies (see `transfer`), how much of
it they believe. Nothing is believed of a rung that misleads.
"""

from __future__ import annotations

from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import fit
from paretune.algorithms._gp.table import Table
from paretune.algorithms._gp.transfer import Lessons, SourceMean
from paretune.earlier import FEWEST


def of_beginnings(table: Table, *, dimensions: int, kernel: Kernel) -> Lessons:
    """What the rungs of a table expect, all but the last one; the rest as in `surrogate.fit`."""
    names, means = [], []
    for level, rung in enumerate(table.rungs[:-1]):
        there = table.at(level)
        if there.settled < FEWEST:
            continue
        model = fit(
            there.X_nf,
            there.Y_rno[0],
            dimensions=dimensions,
            kernel=kernel,
            errors_nm=there.errors_rno[0],
            settled=there.settled,
        )
        names.append(f"rung {rung:g}")
        means.append(tuple(SourceMean([*range(there.X_nf.shape[1])], posterior) for posterior in model.posteriors))
    return Lessons(tuple(names), tuple(means))
