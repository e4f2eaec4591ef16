"""Curves of real training runs (see trainings.py and curves.py)."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.fidelity.tasks._base import Array, CurveTask
from benchmarks.fidelity.tasks.curves import table
from benchmarks.optimizers.spaces import Config


def tasks() -> list[CurveTask]:
    digits, spirals, boosting = table("network_digits"), table("spirals"), table("boosting")
    return [
        CurveTask(
            name="network_digits",
            space=digits.space,
            epochs=digits.epochs,
            curve=digits,
            epoch_s=_digits_s,
            trial_noise=0.02,
            epoch_noise=0.02,
        ),
        CurveTask(
            name="spirals",
            space=spirals.space,
            epochs=spirals.epochs,
            curve=spirals,
            epoch_s=lambda c: 2 + 200 / c["batch"] + c["layers"] * c["width"] / 16,
            trial_noise=0.02,
            epoch_noise=0.02,
        ),
        CurveTask(
            name="boosting",
            space=boosting.space,
            epochs=boosting.epochs,
            curve=boosting,
            epoch_s=lambda c: 0.5 + c["features"] * math.log2(1 + c["leaves"]),
        ),
        CurveTask(
            name="network_size",
            space=digits.space,
            epochs=digits.epochs,
            curve=lambda config: _with_size(config, digits(config)),
            epoch_s=_digits_s,
            objectives=2,
            trial_noise=0.02,
            epoch_noise=0.02,
            reference=(2.3, 5.0),  # what chance loses, and a size that no configuration has
        ),
    ]


def _digits_s(config: Config) -> float:
    """An epoch's seconds: a constant, the number of steps, the width."""
    return float(2 + 300 / config["batch"] + config["width"] / 12)


def _with_size(config: Config, losses_e: Array) -> Array:
    """The loss, and the logarithm (base 10) of the number of weights."""
    width = config["width"]
    size = math.log10(64 * width + width * width + 10 * width)
    return np.stack([losses_e, np.full(len(losses_e), size)], axis=1)
