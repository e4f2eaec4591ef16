"""Parameters: values <-> the unit interval, and every bad definition refused with a readable message."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretune.errors import SpaceError
from paretune.parameters import Choice, Float, Int, Parameter, same
from strategies import choices, floats, ints, parameters, units


@given(parameters, st.floats(allow_nan=False))
def test_every_unit_gives_a_legal_value(parameter: Parameter, unit: float) -> None:
    value = parameter.from_unit(unit)
    parameter.check(value)


@given(parameters, units)
def test_value_to_unit_and_back_is_exact(parameter: Parameter, unit: float) -> None:
    value = parameter.from_unit(unit)
    position = parameter.to_unit(value)
    assert 0.0 <= position <= 1.0
    assert same(parameter.from_unit(position), value)


@given(ints(), st.floats(0, 1))
def test_integers_are_never_fractional(parameter: Int, unit: float) -> None:
    assert type(parameter.from_unit(unit)) is int


@given(floats(), units)
def test_floats_are_floats_within_their_bounds(parameter: Float, unit: float) -> None:
    value = parameter.from_unit(unit)
    assert type(value) is float
    assert parameter.low <= value <= parameter.high


@given(st.one_of(ints(), choices()))
def test_discrete_values_own_equal_bins(parameter: Int | Choice) -> None:
    if isinstance(parameter, Int) and parameter.log and parameter.step == 1:
        return  # spaced by the logarithm instead: the next test
    n = int(parameter.cardinality)
    if n > 64:
        return
    counted = Counter(repr(parameter.from_unit((i + 0.5) / (8 * n))) for i in range(8 * n))
    assert set(counted.values()) == {8}
    assert len(counted) == n


def test_log_integers_are_uniform_in_their_logarithm() -> None:
    parameter = Int(1, 100, log=True)
    drawn = [parameter.from_unit((i + 0.5) / 10_000) for i in range(10_000)]
    # the bin of 1 is [log .5, log 1.5] of [log .5, log 100.5]
    assert drawn.count(1) / 10_000 == pytest.approx(math.log(1.5 / 0.5) / math.log(100.5 / 0.5), abs=2e-4)
    assert set(drawn) == set(range(1, 101))


@given(floats(), units, units)
def test_order_is_kept(parameter: Float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert parameter.from_unit(low) <= parameter.from_unit(high)


def test_hand_computed_positions() -> None:
    assert Float(1e-4, 1.0, log=True).to_unit(1e-2) == pytest.approx(0.5)
    assert Float(1e-4, 1.0, log=True).from_unit(0.75) == pytest.approx(0.1)
    assert Float(-1.0, 3.0).from_unit(0.5) == 1.0
    assert Float(0.0, 1.0, step=0.25).from_unit(0.5) == 0.5
    assert Int(32, 512, step="power2").values == [32, 64, 128, 256, 512]
    assert Int(32, 512, step="power2").to_unit(128) == pytest.approx(0.5)
    assert list(Int(2, 10, step=4).values) == [2, 6, 10]
    assert Choice(("a", "b")).to_unit("b") == 0.75


def test_stepped_floats_are_clean_numbers() -> None:
    parameter = Float(0.1, 0.9, step=0.1)
    values = [parameter.from_unit((i + 0.5) / 9) for i in range(9)]
    assert values == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_stepped_floats_end_at_the_last_step_below_high() -> None:
    assert Float(0.0, 1.0, step=0.3).from_unit(1.0) == 0.9
    assert Float(0.0, 1.0, step=0.3).cardinality == 4


def test_options_are_told_apart_by_type() -> None:
    parameter = Choice((1, 1.0, True, "1", None))
    assert [parameter.to_unit(option) for option in parameter.options] == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert parameter.from_unit(0.5) is True


def test_cardinality() -> None:
    assert Float(0.0, 1.0).cardinality == math.inf
    assert Int(1, 6).cardinality == 6
    assert Int(1, 64, step="power2").cardinality == 7
    assert Choice(("x",)).cardinality == 1


def test_a_single_condition_value_becomes_a_tuple() -> None:
    assert Float(0, 1, when={"optimizer": "sgd"}).when == {"optimizer": ("sgd",)}
    assert Float(0, 1, when={"optimizer": ["sgd", "lion"]}).when == {"optimizer": ("sgd", "lion")}


BAD = [
    (lambda: Float(1.0, 0.5), r"low must be below high, got low 1.0 and high 0.5"),
    (lambda: Float(1.0, 1.0), r"low and high must differ, both are 1.0"),
    (lambda: Float(0.0, 1.0, log=True), r"low must be > 0 when log is true, got 0.0"),
    (lambda: Float(-1.0, 1.0, log=True), r"low must be > 0 when log is true, got -1.0"),
    (lambda: Float(math.nan, 1.0), r"low must be a finite number, got nan"),
    (lambda: Float(0.0, math.inf), r"high must be a finite number, got inf"),
    (lambda: Float("0", 1.0), r"low must be a finite number, got '0'"),
    (lambda: Float(False, 1.0), r"low must be a finite number, got False"),
    (lambda: Float(0.0, 1.0, step=2.0), r"step must be in \(0, high - low\], got 2.0"),
    (lambda: Float(0.0, 1.0, step=0.0), r"step must be in \(0, high - low\], got 0.0"),
    (lambda: Float(0.1, 1.0, step=0.1, log=True), r"step cannot be combined with log"),
    (lambda: Float(0.0, 1.0, default=2.0), r"default: value must be in \[0, 1\], got 2.0"),
    (lambda: Float(0.0, 1.0, step=0.25, default=0.3), r"default: value must be on the step 0.25 from 0, got 0.3"),
    (lambda: Float(0.0, 1.0, when="sgd"), r"when must map a parameter to a value"),
    (lambda: Float(0.0, 1.0, when={"optimizer": []}), r"when: optimizer needs a value or a list of values, got \[\]"),
    (lambda: Int(4, 2), r"low must be below high, got low 4 and high 2"),
    (lambda: Int(0, 2, log=True), r"low must be >= 1 when log is true, got 0"),
    (lambda: Int(1.5, 2), r"low must be an integer, got 1.5"),
    (lambda: Int(True, 2), r"low must be an integer, got True"),
    (lambda: Int(1, 10, step=2), r"high must be low plus a multiple of step 2, got 10"),
    (lambda: Int(1, 10, step=0), r"step must be >= 1 or 'power2', got 0"),
    (lambda: Int(1, 11, step=2, log=True), r"step 2 cannot be combined with log"),
    (lambda: Int(3, 64, step="power2"), r"low must be a power of two when step is power2, got 3"),
    (lambda: Int(2, 65, step="power2"), r"high must be a power of two when step is power2, got 65"),
    (lambda: Int(1, 64, step="power3"), r"step must be >= 1 or 'power2', got 'power3'"),
    (lambda: Int(1, 9, step=2, default=4), r"default: value must be on the step 2 from 1, got 4"),
    (lambda: Int(1, 8, step="power2", default=3), r"default: value must be a power of two, got 3"),
    (lambda: Choice([]), r"options must not be empty"),
    (lambda: Choice("adamw"), r"options must be a list, got 'adamw'"),
    (lambda: Choice(["a", "b", "a"]), r"options must be different, 'a' stands twice"),
    (lambda: Choice([["a"], "b"]), r"options must be strings, numbers, booleans or null, got \['a'\]"),
    (lambda: Choice([1.0, math.nan]), r"options must be finite, got nan"),
    (lambda: Choice(["a"], default="b"), r"default: value must be one of \['a'\], got 'b'"),
]


@pytest.mark.parametrize(("build", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_definitions_say_what_must_hold(build: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(0, 1), 1.5),
        (Float(0, 1), "x"),
        (Float(0, 1), None),
        (Float(0, 1), math.nan),
        (Float(0, 1, step=0.25), 0.26),
        (Int(1, 4), 5),
        (Int(1, 4), 1.5),
        (Int(1, 4), True),
        (Int(1, 5, step=2), 2),
        (Choice((1, 2)), True),
        (Choice((1, 2)), 3),
    ],
)
def test_foreign_values_are_refused(parameter: Parameter, value: object) -> None:
    with pytest.raises(SpaceError, match="value must be"):
        parameter.check(value)
