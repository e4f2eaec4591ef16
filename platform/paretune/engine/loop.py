"""Running one trial's training loop in this process, and leaving the process as it was.

Used by trial actors (one worker) and by the workers of a gang alike.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import cloudpickle

from paretune.engine import out_of_memory, process
from paretune.engine.messages import Outcome
from paretune.errors import DivergedError, ReportError, StarvedError, TrainableError, TrialStopped, UnsupportedError

TrainFunction = Callable[[dict[str, Any]], Any]
Told = TypeVar("Told")

SILENT = Outcome("failed", "the training function returned without a single ray.train.report")
"""What a loop that came to its end, but never reported, is taken for."""

_CUT_OFF = ("Connection closed by peer", "Connection reset by peer")
_BEHIND_S = 1.0
"""A rank that is cut off keeps quiet for so long: the rank that failed, and closed its connections, is to say why."""


def run(train: TrainFunction, config: dict[str, Any], *, seed: int, tell: Callable[[Outcome], Told]) -> Told:
    """Call the training function, tell how it ended, and clean the process; returns what `tell` does.

    A rank that is through tells before it is cleaned, and its process groups last until every rank is through: another
    may still be about to connect to it (gloo's `new_group` returns when its own connections stand). One that failed is
    cleaned before it tells: whoever waits for it in one of its groups is cut off, and need not be killed.
    """
    with process.clean(seed):
        outcome = _outcome(train, config)
        if outcome.reason is None:
            return tell(outcome)
    if any(sign in outcome.reason for sign in _CUT_OFF):
        time.sleep(_BEHIND_S)
    return tell(outcome)


def _outcome(train: TrainFunction, config: dict[str, Any]) -> Outcome:
    """How the training function ends; one that was stopped has completed what was asked of it."""
    try:
        train(config)
    except TrialStopped:
        return Outcome("completed")
    except DivergedError as error:
        return Outcome("diverged", str(error))
    except (ReportError, StarvedError, UnsupportedError) as error:
        return Outcome("failed", str(error), traceback.format_exc())
    except Exception as error:
        line = out_of_memory.reason(error) or traceback.format_exception_only(error)[-1].strip()
        return Outcome("failed", line, _from_user_code(error))
    except SystemExit as error:
        line = f"the training function called sys.exit({error.code!r})"
        return Outcome("failed", line, traceback.format_exc())
    return Outcome("completed")


def _from_user_code(error: BaseException) -> str:
    """The traceback without the frame of this module."""
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, frames))


def load(code: bytes, path: Sequence[str]) -> TrainFunction:
    """The training function from its pickled form; one that cannot be loaded fails each trial with the reason.

    `path` is the driver's sys.path: what it could import shall be importable here too, where the files are there.
    What is imported by then stays for good: freezing it makes the collection between trials a matter of milliseconds.
    """
    sys.path.extend(entry for entry in path if entry not in sys.path)
    try:
        function: TrainFunction = cloudpickle.loads(code)
    except Exception as error:
        cause = error

        def unloadable(config: dict[str, Any]) -> None:
            raise TrainableError(f"the training function cannot be loaded on this worker: {cause!r}") from cause

        return unloadable
    gc.collect()
    gc.freeze()
    return function
