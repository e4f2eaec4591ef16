"""Hypothesis strategies for parameters, spaces with nested conditions, and points of the unit cube."""

from __future__ import annotations

from hypothesis import strategies as st

from paretune.parameters import Choice, Float, Int, Parameter, Value, same
from paretune.space import Space

units = st.floats(0.0, 1.0)
texts = st.text("abcdefghijklmnopqrstuvwxyz-_ :#", min_size=1, max_size=8)
scalars: st.SearchStrategy[Value] = st.one_of(
    texts, st.integers(-1000, 1000), st.floats(-1e6, 1e6), st.booleans(), st.none()
)


@st.composite
def floats(draw: st.DrawFn, **fixed: object) -> Float:
    kind = draw(st.sampled_from(["linear", "log", "step"]))
    if kind == "log":
        low = draw(st.floats(1e-8, 1e3))
        return Float(low, low * draw(st.floats(1.01, 1e8)), log=True, **fixed)  # type: ignore[arg-type]
    low = draw(st.floats(-1e4, 1e4))
    if kind == "linear":
        return Float(low, low + draw(st.floats(1e-3, 1e5)), **fixed)  # type: ignore[arg-type]
    step, steps = draw(st.sampled_from([0.001, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0])), draw(st.integers(1, 200))
    low = round(low, 3)
    return Float(low, low + step * steps, step=step, **fixed)  # type: ignore[arg-type]


@st.composite
def ints(draw: st.DrawFn, **fixed: object) -> Int:
    kind = draw(st.sampled_from(["linear", "log", "step", "power2"]))
    if kind == "power2":
        low = draw(st.integers(0, 8))
        return Int(1 << low, 1 << (low + draw(st.integers(1, 8))), step="power2", log=draw(st.booleans()), **fixed)  # type: ignore[arg-type]
    if kind == "log":
        low = draw(st.integers(1, 100))
        return Int(low, low + draw(st.integers(1, 5000)), log=True, **fixed)  # type: ignore[arg-type]
    low = draw(st.integers(-1000, 1000))
    step = draw(st.integers(2, 10)) if kind == "step" else 1
    return Int(low, low + step * draw(st.integers(1, 300)), step=step, **fixed)  # type: ignore[arg-type]


@st.composite
def choices(draw: st.DrawFn, **fixed: object) -> Choice:
    options: list[Value] = []
    for option in draw(st.lists(scalars, min_size=1, max_size=6)):
        if not any(same(option, other) for other in options):
            options.append(option)
    return Choice(tuple(options), ordered=draw(st.booleans()), **fixed)  # type: ignore[arg-type]


parameters: st.SearchStrategy[Parameter] = st.one_of(floats(), ints(), choices())


@st.composite
def spaces(draw: st.DrawFn, *, max_size: int = 6) -> Space:
    """A space in which any parameter may depend on earlier ones, which may themselves be conditional."""
    names = draw(st.lists(texts, min_size=1, max_size=max_size, unique=True))
    made: dict[str, Parameter] = {}
    for name in names:
        parents = [parent for parent, parameter in made.items() if not isinstance(parameter, Float)]
        when = {}
        if parents and draw(st.booleans()):
            for parent in draw(st.lists(st.sampled_from(parents), min_size=1, max_size=2, unique=True)):
                values = [made[parent].from_unit(unit) for unit in draw(st.lists(units, min_size=1, max_size=3))]
                when[parent] = tuple(values)
        made[name] = draw(st.one_of(floats(when=when), ints(when=when), choices(when=when)))
    return Space(made)


def points(space: Space) -> st.SearchStrategy[list[float]]:
    return st.lists(units, min_size=len(space), max_size=len(space))


@st.composite
def spaces_and_points(draw: st.DrawFn) -> tuple[Space, list[float]]:
    space = draw(spaces())
    return space, draw(points(space))
