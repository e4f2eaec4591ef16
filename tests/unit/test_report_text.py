"""Numbers and durations as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretune.parameters import Value
from paretune.report import text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (7, "7"),
        (7.0, "7"),
        (-5.0, "-5"),
        (0.1 + 0.2, "0.3"),
        (0.0123456, "0.01235"),
        (12.3, "12.3"),
        (-0.5, "-0.5"),
        (1e-5, "1e-05"),
        (99_999.96, "1e+05"),
        (123_456.0, "123456"),
        (123_456.7, "1.235e+05"),
        (1e6, "1e+06"),
        (1_000_000, "1000000"),  # an integer is never rounded
        (2**70, "1180591620717411303424"),
        (1e308, "1e+308"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
    ],
)
def test_number(given: float | None, shown: str) -> None:
    assert text.number(given) == shown


@given(st.floats(-1e300, 1e300))
def test_a_number_keeps_four_digits(value: float) -> None:
    assert float(text.number(value)) == pytest.approx(value, rel=5e-4)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0, "0"),
        (1.0, "1"),
        (3e-4, "0.0003"),
        ("adamw", "adamw"),
        ("1", "1"),
        ("", ""),
    ],
)
def test_value(given: Value, shown: str) -> None:
    assert text.value(given) == shown


def test_config() -> None:
    assert text.config({"lr": 0.003, "layers": 4, "norm": None, "bias": True}) == (
        "lr=0.003, layers=4, norm=null, bias=true"
    )
    assert text.config({}) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00 s"),
        (0.004, "0.00 s"),
        (0.42, "0.42 s"),
        (1, "1.0 s"),
        (12.44, "12.4 s"),
        (59.94, "59.9 s"),
        (59.95, "1 min 00 s"),  # never "60.0 s"
        (60, "1 min 00 s"),
        (100, "1 min 40 s"),
        (119.6, "2 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),  # never "60 min 00 s"
        (11_100, "3 h 05 min"),
        (86_399, "23 h 59 min"),
        (86_399.6, "1 d 0 h"),
        (187_200, "2 d 4 h"),
        (1e7, "115 d 17 h"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials")])
def test_plural(count: int, shown: str) -> None:
    assert text.plural(count, "trial") == shown
