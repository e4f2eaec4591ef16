"""Errors: one tree, readable, the same on the other side of a process."""

from __future__ import annotations

import pickle
import re

import pytest

from paretune import errors
from paretune.errors import InputError, ParetuneError, SpaceError, TrialStopped, nearest

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ParetuneError)]


def test_the_drawn_tree_is_the_tree() -> None:
    """The picture atop the module names every class below its parent."""
    assert errors.__doc__ is not None
    path: list[str] = []
    drawn = {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│ ├└─]*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in TREE if kind.__base__ is not None}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[ParetuneError]) -> None:
    again = pickle.loads(pickle.dumps(kind("what", hint="how")))
    assert type(again) is kind
    assert (again.message, again.hint, str(again)) == ("what", "how", "what\nhint: how")


def test_exit_codes_tell_bad_input_from_failure() -> None:
    assert {kind.exit_code for kind in TREE if issubclass(kind, InputError)} == {2}
    assert {kind.exit_code for kind in TREE if not issubclass(kind, InputError)} == {1}


def test_located_keeps_class_and_hint() -> None:
    error = SpaceError("low must be > 0", hint="drop log").located("lr").located("cnn.yaml")
    assert type(error) is SpaceError
    assert str(error) == "cnn.yaml: lr: low must be > 0\nhint: drop log"


def test_nearest() -> None:
    assert nearest("momentun", ["lr", "momentum"]) == "did you mean 'momentum'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) is None
    assert nearest(3, ["a"]) == "known: a"


def test_a_stopped_trial_passes_a_loops_own_except() -> None:
    assert not issubclass(TrialStopped, Exception)
