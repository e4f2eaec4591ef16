"""What every test runs under."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# No deadline: machines differ, and no test asserts a duration. In continuous integration the examples are the same each
# time; elsewhere new ones are tried, and `--hypothesis-seed` repeats them.
settings.register_profile(
    "paretune",
    deadline=None,
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("paretune")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; tests interrupt what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
