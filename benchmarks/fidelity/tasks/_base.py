"""What a task is: learning curves over a space, and how long an epoch of each takes. Legend: e epochs, m objectives."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.optimizers.spaces import Config, Space

Array = npt.NDArray[np.float64]

_NOISE_STREAM = 15485863  # keeps the noise apart from other generators seeded with the same numbers


@dataclass(frozen=True, slots=True)
class Trained:
    """A configuration's whole training; not finite from the epoch on at which it diverges.

    `true_em` is free of noise, `seen_em` is what it reports; `epoch_s` is the length of an epoch in virtual seconds.
    """

    true_em: Array
    seen_em: Array
    epoch_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveTask:
    """One benchmark problem; everything is positive and minimised.

    `curve` maps a configuration to its objectives after each epoch, free of noise: shape (e,), or (e, m) for several.
    Noise multiplies the first objective by a lognormal factor: `trial_noise` is the standard deviation that a whole
    training shares, `epoch_noise` that of each epoch alone. `reference` is the hypervolume's reference point.
    """

    name: str
    space: Space
    epochs: int
    curve: Callable[[Config], Array]
    epoch_s: Callable[[Config], float]
    objectives: int = 1
    trial_noise: float = 0.0
    epoch_noise: float = 0.0
    reference: tuple[float, ...] = ()

    def true(self, config: Mapping[str, Any]) -> Array:
        """The noise-free curve, shape (e, m); raises BadConfigError for a configuration outside the space."""
        return self.curve(self.space.clean(config)).reshape(self.epochs, self.objectives)

    def train(self, config: Mapping[str, Any], *, seed: int) -> Trained:
        """The training of a configuration in a run with this seed: the same for whoever asks."""
        clean = self.space.clean(config)
        true_em = self.true(clean)
        rng = np.random.default_rng([_NOISE_STREAM, seed, zlib.crc32(key(clean).encode())])
        logarithm_e = self.trial_noise * rng.standard_normal() + self.epoch_noise * rng.standard_normal(self.epochs)
        seen_em = true_em.copy()
        seen_em[:, 0] *= np.exp(logarithm_e)
        return Trained(true_em, seen_em, float(self.epoch_s(clean)))


def key(config: Mapping[str, Any]) -> str:
    """A configuration as text: equal ones have equal texts."""
    return json.dumps(dict(config), sort_keys=True)
