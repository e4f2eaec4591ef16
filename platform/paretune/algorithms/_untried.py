"""Configurations that have not been tried: the start of a search, and the way out when points repeat.

Legend: d parameters; x_d a point of the unit cube.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from paretune.coordinates import Column
from paretune.prior import believed, drawn
from paretune.records import Observation, Proposal, Suggestion
from paretune.space import INACTIVE, Config, Space, Value

Array = npt.NDArray[np.float64]
Key: TypeAlias = tuple[Any, ...]

ENUMERABLE = 1024
"""Spaces of at most this many configurations are gone through one by one: decoding them all takes about 10 ms."""

_PASSED_OVER = 1 / 16
"""Of the cube. A point that is passed over costs 40 us, one that is drawn anew 0.1 to 1 ms."""


class Tried:
    """The identities of a study's configurations, remembered: with thousands of trials, making them anew is most of
    what a proposal costs."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._known: dict[int, tuple[Config, Key]] = {}  # by the object's id, which it keeps while it is held here
        self._configs: list[Config] = []
        self._taken: set[Key] = set()

    def __reduce__(self) -> tuple[type[Tried], tuple[Space]]:
        return Tried, (self._space,)

    def keys(self, history: Sequence[Observation], ahead: Sequence[Suggestion | Proposal] = ()) -> set[Key]:
        """All configurations that were tried or are about to be."""
        configs, known = [seen.config for seen in history], len(self._configs)
        if known > len(configs) or not all(map(operator.is_, self._configs, configs)):
            self._taken, known = set(), 0  # another history than last time
        self._configs = configs
        self._taken.update(map(self._key, configs[known:]))
        return self._taken | self.under_way(ahead)

    def under_way(self, ahead: Sequence[Suggestion | Proposal]) -> set[Key]:
        """Those that are about to be."""
        return {self._key(entry.config) for entry in ahead}

    def _key(self, config: Config) -> Key:
        known = self._known.get(id(config))
        if known is None:
            known = self._known[id(config)] = (config, self._space.key(config))
        return known[1]


def default_first(space: Space, taken: set[Key]) -> dict[str, Value] | None:
    """The space's default configuration while it is untried: every search begins with it."""
    config = space.default()
    return None if config is None or space.key(config) in taken else config


def first_untried(space: Space, points: Iterable[Array], taken: set[Key]) -> dict[str, Value] | None:
    """The first configuration along `points` that is not taken, or None where the space is exhausted.

    Where the points keep repeating or breaking constraints (see `legal_points`), a small space is gone through one by
    one. A larger discrete space counts as exhausted after 64 + 16 repeats per known configuration: drawing at random,
    that many find all but one configuration in about ten million.
    """
    for repeats, x_d in enumerate(points):
        config = space.decode(x_d)
        if space.key(config) not in taken and space.legal(config):
            return config
        if repeats > 64 + 16 * len(taken):
            break
    return next(untried(space, taken), None)


def untried(space: Space, taken: set[Key]) -> Iterator[dict[str, Value]]:
    """Every legal configuration of a small space that is not taken, in order; nothing for a larger space."""
    if space.cardinality > ENUMERABLE:
        return
    seen = set(taken)
    axes = _axes(space)
    x_d = np.full(len(space), INACTIVE)
    for part in itertools.product(*(rows for _, rows in axes)):
        for (places, _), row in zip(axes, part, strict=True):
            x_d[places] = row
        config = space.decode(x_d)
        if space.key(config) not in seen:
            seen.add(space.key(config))
            yield config


def fresh(
    space: Space,
    points: Iterable[Array],
    tried: Tried,
    history: Sequence[Observation],
    ahead: Sequence[Suggestion | Proposal],
    rng: np.random.Generator,
) -> dict[str, Value]:
    """The first configuration along endless `points` that was not tried, each point made legal where it is not.

    An exhausted space is tried again, what is under way last.
    """
    points = legal_points(space, points, rng)
    start = list(itertools.islice(points, 1))
    for taken in (tried.keys(history, ahead), tried.under_way(ahead)):
        config = first_untried(space, itertools.chain(start, points), taken)
        if config is not None:
            return config
    return space.decode(start[0])


def around(x_d: Array, rng: np.random.Generator) -> Iterator[Array]:
    """Points ever further from x_d: one coordinate drawn anew, then two and more, at last all of them."""
    d = len(x_d)
    for tries in itertools.count():
        changed = rng.choice(d, size=min(d, 1 + tries // 8), replace=False)
        point_d = x_d.copy()
        point_d[changed] = rng.random(len(changed))
        yield point_d


def _axes(space: Space) -> list[tuple[list[int], Array]]:
    """What a discrete space is the product of: parameters with their values, groups with their legal combinations."""
    parameters = list(space.values())
    listed = [(group.places.tolist(), group.pool_pk) for group in space.legality.groups]
    grouped = {place for places, _ in listed for place in places}
    single = [([i], Column(i, p).units()[0][:, None]) for i, p in enumerate(parameters) if i not in grouped]
    return sorted([*single, *listed], key=lambda axis: axis[0][0])


def legal_points(space: Space, points: Iterable[Array], rng: np.random.Generator) -> Iterator[Array]:
    """Points where the constraints hold, made of any points of the cube.

    Points that break one are passed over while at least one in sixteen is legal, which keeps a sequence as even as it
    was. Where less is legal, what breaks a constraint is drawn anew: going on until a legal point comes costs as many
    points as the legal part is small.
    """
    legality = space.legality
    if not space.restricted:
        yield from points
        return
    for x_d in points:
        if legality.mask(x_d[None])[0] or legality.share < _PASSED_OVER:
            (mended_d,) = legality.mended(x_d[None], rng)
            if space.legal(space.decode(mended_d)):  # rounding may bring a point on a boundary across it
                yield mended_d


def believed_points(
    space: Space, points: Iterator[Array], quantiles: Iterator[Array], *, start: int
) -> Iterator[Array]:
    """`points`, every second one replaced by what the user believes at the next of `quantiles`; `start` is the number
    of the first.

    The other half covers the space as if nothing were believed: a belief that is wrong costs half of the points, and
    what is found outside of it tells the model so. Two sources, because every second point of a Sobol sequence is less
    even than chance.
    """
    if not believed(space):
        yield from points
        return
    for number in itertools.count(start):
        yield next(points) if number % 2 else drawn(space, next(quantiles))


def sobol_points(d: int, *, seed: int, ahead: int, other: tuple[int, ...] = ()) -> Iterator[Array]:
    """One scrambled Sobol sequence in d dimensions, from its beginning; `ahead` is how many points will do, mostly.

    `other` numbers make another sequence of the same seed. Owen (1998); the scramble is scipy's linear matrix scramble
    with a random shift.
    """
    start = 0
    for log2 in itertools.count(max(4, math.ceil(math.log2(ahead + 1)))):
        sequence = qmc.Sobol(d, scramble=True, rng=np.random.default_rng([seed, d, *other]))
        yield from sequence.random_base2(log2)[start:]  # a whole power of two: scipy warns of others
        start = 1 << log2


def uniform_points(d: int, rng: np.random.Generator) -> Iterator[Array]:
    """Independent uniform points of the unit cube."""
    while True:
        yield rng.random(d)
