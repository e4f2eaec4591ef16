"""Children of trials: crossover and mutation on the unit cube.

Numbers and ordered choices cross by simulated binary crossover (Deb and Agrawal, 1995) and mutate polynomially (Deb and
Goyal, 1996), both bounded as in NSGA-II's own code; unordered options are taken from either parent and redrawn.

Legend: d parameters; x_d a point of the cube, NaN where the parameter is absent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paretune.space import Choice, Config, Space

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ETA_CROSSOVER = 15.0
_ETA_MUTATION = 20.0
"""How close children are to their parents: common values; Deb et al. (2002), section V-A, take 20 and 20."""


class Variation:
    """Makes children in a space."""

    def __init__(self, space: Space, *, crossover: float, mutation: float) -> None:
        self._space, self._crossover = space, crossover
        self._rate = min(1.0, mutation / len(space))
        self._nominal_d: Mask = np.array([isinstance(p, Choice) and not p.ordered for p in space.values()])

    def child(self, mother: Config, father: Config, rng: np.random.Generator) -> Array:
        """A child of two configurations; shape (d,). What neither parent has is drawn at random."""
        a_d, b_d = self._point(mother), self._point(father)
        either_d = np.where(np.isnan(a_d), b_d, a_d)
        child_d = either_d
        if rng.random() < self._crossover:
            both_d = ~np.isnan(a_d) & ~np.isnan(b_d)
            mixed_d = np.where(self._nominal_d, self._swapped(a_d, b_d, rng), _blended(a_d, b_d, rng))
            child_d = np.where(both_d, mixed_d, either_d)
        child_d = np.where(np.isnan(child_d), rng.random(len(child_d)), child_d)
        return self._mutated(child_d, rng)

    def _point(self, config: Config) -> Array:
        present_d = [name in config for name in self._space]
        return np.where(present_d, self._space.encode(config), np.nan)

    def _swapped(self, a_d: Array, b_d: Array, rng: np.random.Generator) -> Array:
        return np.where(rng.random(len(a_d)) < 0.5, a_d, b_d)

    def _mutated(self, x_d: Array, rng: np.random.Generator) -> Array:
        anew_d = np.where(self._nominal_d, rng.random(len(x_d)), _displaced(x_d, rng))
        return np.where(rng.random(len(x_d)) < self._rate, anew_d, x_d)


def _blended(a_d: Array, b_d: Array, rng: np.random.Generator) -> Array:
    """A child of bounded simulated binary crossover; NaN where a parent has none.

    As in the original, half of the coordinates stay the mother's, and the others lie about either parent.
    """
    low_d, high_d = np.fmin(a_d, b_d), np.fmax(a_d, b_d)
    apart_d = np.maximum(high_d - low_d, 1e-14)  # parents that agree: nothing is spread, whatever is drawn
    u_d, upper_d = rng.random(len(a_d)), rng.random(len(a_d)) < 0.5
    room_d = 1 + 2 * np.where(upper_d, 1 - high_d, low_d) / apart_d
    alpha_d = 2 - room_d ** -(_ETA_CROSSOVER + 1)
    grown_d = np.where(u_d * alpha_d <= 1, u_d * alpha_d, 1 / np.maximum(2 - u_d * alpha_d, 1e-14))
    spread_d = grown_d ** (1 / (_ETA_CROSSOVER + 1))
    crossed_d = 0.5 * (low_d + high_d + np.where(upper_d, 1, -1) * spread_d * apart_d)
    return np.clip(np.where(rng.random(len(a_d)) < 0.5, crossed_d, a_d), 0, 1)


def _displaced(x_d: Array, rng: np.random.Generator) -> Array:
    """Bounded polynomial mutation of every coordinate."""
    u_d, power = rng.random(len(x_d)), _ETA_MUTATION + 1
    down_d = (2 * u_d + (1 - 2 * u_d) * (1 - x_d) ** power) ** (1 / power) - 1
    up_d = 1 - (2 * (1 - u_d) + (2 * u_d - 1) * x_d**power) ** (1 / power)
    return np.clip(x_d + np.where(u_d < 0.5, down_d, up_d), 0, 1)


def tournament(contestants: int, rng: np.random.Generator) -> int:
    """The better of two drawn at random from an order with the best first."""
    return int(rng.integers(contestants, size=2).min())
