"""Numbers and durations the way people read them; the page and the terminal show the same."""

from __future__ import annotations

import math

from paretune.parameters import Config, Value

ABSENT = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Four significant digits: `0.01234`, `12.3`, `16370`, `1.2e-05`; a dash for what is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ABSENT
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value)}"
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def estimate(expected: float, low: float | None, high: float | None) -> str:
    """`0.031 (0.028 to 0.034)`; without its interval where that is unknown."""
    interval = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
    return number(expected) + interval


def value(given: Value) -> str:
    """A parameter's value; booleans and null as a spec file has them."""
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    return given if isinstance(given, str) else number(given)


def config(given: Config) -> str:
    """A configuration on one line: `lr=0.003, layers=4`."""
    return ", ".join(f"{name}={value(entry)}" for name, entry in given.items())


def duration(seconds: float) -> str:
    """Two units at most: `0.42 s`, `12.4 s`, `1 min 40 s`, `3 h 05 min`, `2 d 4 h`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
