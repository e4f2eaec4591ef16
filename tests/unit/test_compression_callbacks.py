"""Callbacks of PowerSGD's exchange, which hold the process group, are gone before a run lets go of that group."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import pytest
from torch import nn

from paretune.train import replicas


class State:
    """In the place of `PowerSGDState`."""


def callback_of(state: State) -> Callable[[], State]:
    return lambda: state


def exchanging(state: State) -> nn.Module:
    module = nn.Identity()
    module._comm_hooks = [(print, state)]  # type: ignore[assignment]  # as DistributedDataParallel has them
    return module


def test_waits_until_another_thread_has_let_go_of_the_callbacks() -> None:
    state, release = State(), threading.Event()
    callbacks = [callback_of(state)]
    watched = weakref.ref(callbacks[0])

    def finish() -> None:
        release.wait()
        callbacks.clear()

    thread = threading.Thread(target=finish)
    thread.start()
    threading.Timer(0.05, release.set).start()
    assert watched() is not None
    replicas.let_go(exchanging(state))
    assert watched() is None
    thread.join()


def test_a_callback_that_is_never_let_go_of_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "_LET_GO_S", 0.02)
    state = State()
    kept = callback_of(state)
    replicas.let_go(exchanging(state))
    assert kept() is state


def test_a_module_without_hooks_is_let_go_of_at_once() -> None:
    replicas.let_go(nn.Linear(1, 1))
