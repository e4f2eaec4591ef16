"""Unordered choices beside the normal distribution: a probability for each option, moved towards the good trials'.

As in CatCMA (Hamano et al., 2024), with a fixed learning rate in place of its adapted one.

Legend: k trials of a generation, the best first, with weights w_k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from paretune.algorithms._cmaes.coordinates import nominal
from paretune.space import Config, Space

Array = npt.NDArray[np.float64]
Options: TypeAlias = Mapping[str, Array]
"""The probabilities of each unordered parameter's options."""

_RATE = 0.3


def even(space: Space) -> Options:
    """All options alike."""
    return {n: np.full(int(p.cardinality), 1 / p.cardinality) for n, p in space.items() if nominal(p)}


def moved(space: Space, options: Options, best: Sequence[Config], w_k: Array) -> Options:
    """The probabilities after a generation; a trial says nothing about a parameter that it does not have."""
    after: dict[str, Array] = {}
    for name, before in options.items():
        change = np.zeros(len(before))
        for config, weight in zip(best, w_k.tolist(), strict=True):
            if name in config:
                taken = int(space[name].to_unit(config[name]) * len(before))
                change += weight * (np.eye(len(before))[taken] - before)
        after[name] = _with_margin(before + _RATE * change, len(options))
    return after


def draw(options: Options, rng: np.random.Generator) -> dict[str, float]:
    """A unit coordinate for each unordered parameter."""
    return {name: (rng.choice(len(p), p=p) + 0.5) / len(p) for name, p in options.items()}


def _with_margin(probabilities: Array, count: int) -> Array:
    """No option ever dies out: the least probability is CatCMA's (section 4.3)."""
    others = max(1, len(probabilities) - 1)
    least = min((1 - 0.73 ** (1 / count)) / others, 1 / len(probabilities))
    raised = np.maximum(probabilities, least)
    room = raised - least
    total = room.sum()
    spare = 1 - least * len(raised)
    kept: Array = least + (room * (spare / total) if total > 0 else np.full(len(raised), spare / len(raised)))
    return kept
