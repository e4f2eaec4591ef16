"""Configurations as the columns a kernel sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paretune.algorithms._gp.encoding import Encoding
from paretune.space import Choice, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 4),
        "size": Choice(["s", "m", "l"], ordered=True),
        "flag": Choice([True, False]),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        "variant": Choice(["a", "b", "c"], when={"flag": True}),
    }
)


def test_columns_by_hand() -> None:
    encoding = Encoding(SPACE)
    config = {"lr": 1e-2, "layers": 4, "size": "m", "flag": False, "optimizer": "sgd", "momentum": 0.25}
    third = 1 / math.sqrt(2)
    expected = [0.5, 0.875, 0.5, 1.0, 0.0, third, 0.0, 0.25, 0.0, 0.0, 0.0]
    assert encoding.features([config])[0] == pytest.approx(expected)
    assert encoding.labels[4:8] == ["optimizer=adamw", "optimizer=sgd", "optimizer=lion", "momentum"]
    assert len(encoding.labels) == encoding.width == 11


def test_any_two_options_are_as_far_apart_as_the_ends_of_a_number() -> None:
    for options in (["a", "b"], ["a", "b", "c"], list("abcdef")):
        X = Encoding(Space({"c": Choice(options)})).features([{"c": option} for option in options])
        distances = np.linalg.norm(X[:, None] - X[None], axis=-1)
        assert distances[~np.eye(len(options), dtype=bool)] == pytest.approx(1.0)


def test_what_is_absent_never_matters() -> None:
    """Points that differ only in coordinates of absent parameters are one configuration, and one row."""
    rng = np.random.default_rng(0)
    encoding = Encoding(SPACE)
    base = SPACE.encode({"lr": 1e-2, "layers": 2, "size": "s", "flag": False, "optimizer": "lion"})
    points = np.tile(base, (20, 1))
    points[:, 5:] = rng.random((20, 2))
    X = encoding.features([SPACE.decode(x) for x in points])
    assert np.array_equal(X, np.tile(X[0], (20, 1)))
