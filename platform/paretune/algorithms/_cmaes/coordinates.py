"""What the normal distribution is over: the numbers and ordered choices of a space, as coordinates of the unit cube.

A discrete parameter is a coordinate cut into bins. Two things keep it alive there, after CMA-ES with margin (Hamano et
al., 2022): draws leave the mean's bin with at least a given probability, however narrow the distribution has become;
and of a trial that is known by its bin alone, the coordinate within the bin is taken to be what was likely.

Legend: d coordinates; spread_d by how much the margin widens the distribution (1 for continuous parameters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from paretune.algorithms._cmaes.state import State
from paretune.space import Choice, Config, Int, Parameter, Space

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The parameters with an order and more than one value."""

    parameters: dict[str, Parameter]

    @classmethod
    def of(cls, space: Space) -> Coordinates:
        return cls({name: p for name, p in space.items() if not nominal(p) and p.cardinality > 1})

    def __len__(self) -> int:
        return len(self.parameters)

    def spread(self, state: State, *, population: int) -> Array:
        """So wide that one draw of a generation leaves the mean's bin in some coordinate (section 4.2); shape (d,)."""
        tail = float(norm.isf(1 / (population * len(self))))
        edges = zip(self.parameters.values(), state.mean_d.tolist(), strict=True)
        return np.maximum(1.0, np.array([_to_edge(parameter, mean) for parameter, mean in edges]) / tail / state.sd_d)

    def point(self, config: Config, state: State, spread_d: Array, rng: np.random.Generator) -> Array:
        """The coordinates of a configuration, shape (d,); what it leaves open is drawn from the distribution.

        Open are absent parameters, which then change nothing on average, and places within bins that are wider than
        the distribution: their middles would stand for steps that nobody took.
        """
        sd_d = state.sd_d * spread_d
        drawn_d = state.mean_d + sd_d * rng.standard_normal(len(self))
        for i, (name, parameter) in enumerate(self.parameters.items()):
            if name not in config:
                continue
            unit = parameter.to_unit(config[name])
            low, high = _bin(parameter, unit)
            drawn_d[i] = unit if high - low < sd_d[i] else min(max(float(drawn_d[i]), low), high)
        return drawn_d

    def values(self, x_d: Array) -> dict[str, float]:
        """Unit coordinates by name, turned back at the walls of the cube: 1.1 is 0.9."""
        folded_d = np.abs((x_d + 1) % 2 - 1)
        return dict(zip(self.parameters, folded_d.tolist(), strict=True))


def nominal(parameter: Parameter) -> bool:
    """Whether a parameter's values have no order."""
    return isinstance(parameter, Choice) and not parameter.ordered


def _to_edge(parameter: Parameter, mean: float) -> float:
    """From the mean to the nearest other bin; 0 for a continuous parameter."""
    low, high = _bin(parameter, mean)
    return min(mean - low if low > 0 else math.inf, high - mean if high < 1 else math.inf)


def _bin(parameter: Parameter, unit: float) -> tuple[float, float]:
    """The coordinates that decode to one value; one point alone for a continuous parameter."""
    if math.isinf(parameter.cardinality):
        return unit, unit
    if isinstance(parameter, Int) and parameter.log and parameter.step == 1:
        low, span = parameter.low - 0.5, math.log((parameter.high + 0.5) / (parameter.low - 0.5))
        value = parameter.from_unit(unit)
        return math.log((value - 0.5) / low) / span, math.log((value + 0.5) / low) / span
    bins = int(parameter.cardinality)
    place = min(math.floor(unit * bins), bins - 1)
    return place / bins, (place + 1) / bins
