"""Proposals without a model: the space-filling start, which is one scrambled Sobol sequence, and chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain, count, islice

import numpy as np

from paretune.algorithms._untried import (
    Array,
    Key,
    believed_points,
    default_first,
    first_untried,
    legal_points,
    sobol_points,
    uniform_points,
)
from paretune.parameters import Choice, Config
from paretune.prior import believed
from paretune.records import Proposal
from paretune.space import Space

_HOPEFUL = 64  # points among which one that is not hopeless is looked for


def next_initial(
    space: Space, taken: set[Key], *, seed: int, trials: int, hopeful: Callable[[Config], bool] | None = None
) -> Proposal:
    """The default while it is untried, else the first untried point of the sequence that belongs to `seed`.

    Points that are not `hopeful` come last. In an exhausted space the point of the sequence whose number is `trials` is
    tried once more.
    """
    default = default_first(space, taken)
    if default is not None:
        return Proposal(config=default, origin="default")
    sequence = _sequence(space, seed)
    first = (x_d for x_d in islice(sequence, _HOPEFUL) if hopeful(space.decode(x_d))) if hopeful is not None else ()
    config = first_untried(space, chain(first, sequence), taken)
    if config is None:
        config = space.decode(next(islice(sequence, trials, None)))
    return Proposal(config=config, origin="initial")


def middle(space: Space, taken: set[Key], *, seed: int) -> Proposal | None:
    """The middle of a space about which nothing else was said, with options, which have none, from the sequence.

    None where there is a default or something is believed, and where the middle was tried or breaks a constraint. A
    range is mostly put around what its author has in mind: on 25 tasks of `benchmarks/optimizers` the middle is better
    than four fifths of the space in the mean, and worse than half of it on three. Where beliefs are right, half of the
    start is near the best anyway: the median of what is believed first took 6.7 trials to a target instead of 5.2.
    """
    ranges = [not isinstance(parameter, Choice) or parameter.ordered for parameter in space.values()]
    if believed(space) or space.default() is not None or not any(ranges):
        return None
    config = space.decode(np.where(ranges, 0.5, next(islice(_sequence(space, seed), _HOPEFUL, None))))
    if space.key(config) in taken or not space.legal(config):
        return None
    return Proposal(config=config, origin="middle")


def next_random(space: Space, taken: set[Key], rng: np.random.Generator, *, trials: int) -> Proposal:
    """The default while it is untried, else a uniform point of the cube that is untried while there is one.

    Where the user believes something, every second point is drawn from the belief; `trials` is the point's number.
    """
    default = default_first(space, taken)
    if default is not None:
        return Proposal(config=default, origin="default")
    points = uniform_points(len(space), rng)
    points = legal_points(space, believed_points(space, points, points, start=trials), rng)
    untried = first_untried(space, points, taken)
    return Proposal(config=untried or space.decode(next(points)), origin="random")


class _Sequence:
    """The legal points of a study's Sobol sequence, from the beginning each time it is gone through."""

    def __init__(self, space: Space, seed: int) -> None:
        chance = np.random.default_rng([seed, len(space), 1])  # what chance adds to the points belongs to the seed too
        points, quantiles = (sobol_points(len(space), seed=seed, ahead=63, other=other) for other in ((), (2,)))
        points = believed_points(space, points, quantiles, start=0)
        self._more = legal_points(space, points, chance)
        self._known: list[Array] = []

    def __iter__(self) -> Iterator[Array]:
        for i in count():
            if i == len(self._known):
                self._known.append(next(self._more))
            yield self._known[i]


@lru_cache(maxsize=8)
def _sequence(space: Space, seed: int) -> _Sequence:
    """Kept from ask to ask, because a point of a tiny legal part takes milliseconds; equal however often it is made."""
    return _Sequence(space, seed)
