"""Random spaces of every kind of parameter, with nested conditions, and random histories in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from paretune.objective import Objectives
from paretune.records import Observation, Proposal, Status, Suggestion
from paretune.space import Choice, Config, Float, Int, Parameter, Space

KINDS: dict[str, Any] = {
    "float": lambda when: Float(-1.0, 2.0, when=when),
    "log": lambda when: Float(1e-6, 1e-1, log=True, when=when, default=1e-3),
    "grid": lambda when: Float(0.0, 1.0, step=0.25, when=when),
    "int": lambda when: Int(-3, 3, when=when),
    "logint": lambda when: Int(1, 500, log=True, when=when),
    "power": lambda when: Int(8, 128, step="power2", when=when, default=32),
    "nominal": lambda when: Choice(["a", "b", "c"], when=when),
    "flag": lambda when: Choice([True, False], when=when),
    "ordered": lambda when: Choice(["small", "medium", "large"], ordered=True, when=when),
    "single": lambda when: Choice(["only"], when=when),
}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """One to five parameters; each may depend on an earlier discrete one, which may itself depend on another."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    parameters: dict[str, Parameter] = {}
    for i, kind in enumerate(kinds):
        parents = [name for name, p in parameters.items() if isinstance(p, Int | Choice)]
        parent = draw(st.none() | st.sampled_from(parents)) if parents else None
        when = None if parent is None else {parent: draw(st.sampled_from(_values(parameters[parent])))}
        parameters[f"p{i}_{kind}"] = KINDS[kind](when)
    return Space(parameters)


def _values(parameter: Parameter) -> list[Any]:
    if isinstance(parameter, Choice):
        return list(parameter.options)
    assert isinstance(parameter, Int)
    return [parameter.values[0], parameter.values[-1]]


def history(space: Space, objectives: Objectives, n: int, *, seed: int = 0) -> list[Observation]:
    """n random configurations with smooth values: squared distances from a point of the cube, one per outcome."""
    rng = np.random.default_rng(seed)
    targets_od = rng.random((len(objectives.outcome_names), len(space)))
    observations = []
    for number in range(1, n + 1):
        config = space.decode(rng.random(len(space)))
        y_o = ((space.encode(config) - targets_od) ** 2).sum(axis=1)
        observations.append(observed(number, config, objectives.natural(y_o)))
    return observations


def observed(
    number: int, config: Config, metrics: dict[str, float] | None = None, status: Status = "completed"
) -> Observation:
    return Observation(trial=number, config=config, status=status, resource=1.0, metrics=metrics or {})


def suggested(number: int, config: Config) -> Suggestion:
    return Suggestion(
        id=number, proposal=Proposal(config=config, origin="given"), algorithm="given", history_position=0
    )
