"""What every test runs under."""

from __future__ import annotations

import os
import signal
import sys

import pytest
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

_ray_session = pytest.StashKey[pytest.Session]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    in_this_process = not hasattr(session.config, "workerinput")  # which a worker of pytest-xdist has
    if in_this_process and any(item.get_closest_marker("ray") for item in session.items):
        session.config.stash[_ray_session] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After tests on Ray: leave with pytest's verdict, past the static destructors of C++.

    Threads of Ray's core worker and of gRPC outlive `ray.shutdown` (Ray 2.60) and may touch what a destructor has
    freed: a segmentation fault was seen once, after the last test had passed. No crash of a driver is hidden: those
    under test are processes of their own, whose exit codes are asserted.
    """
    session = config.stash.get(_ray_session, None)
    if session is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(session.exitstatus)
