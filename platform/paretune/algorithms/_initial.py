"""The space-filling start: the default configuration, then one scrambled Sobol sequence."""

from __future__ import annotations

from itertools import islice

from paretune.algorithms._untried import Key, default_first, first_untried, sobol_points
from paretune.records import Proposal
from paretune.space import Space


def next_initial(space: Space, taken: set[Key], *, seed: int, trials: int) -> Proposal:
    """The default while it is untried, else the first untried point of the sequence that belongs to `seed`.

    In an exhausted space the point of the sequence whose number is `trials` is tried once more.
    """
    default = default_first(space, taken)
    if default is not None:
        return Proposal(config=default, origin="default")
    config = first_untried(space, sobol_points(len(space), seed=seed, ahead=trials), taken)
    if config is None:
        config = space.decode(next(islice(sobol_points(len(space), seed=seed, ahead=trials), trials, None)))
    return Proposal(config=config, origin="initial")
