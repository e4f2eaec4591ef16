"""The actor behind a Tune trial: one `step` is one message of the training loop.

Tune reuses it for trial after trial. With one worker the loop runs in the actor (`inline.py`), with several on a gang.
A loop that ends, whichever way, is a finished step: Tune sees a failure only when an actor dies, or is to end soon and
gives its trial up where that has a checkpoint.
"""

from __future__ import annotations

from typing import Any, Protocol

import ray
from ray import tune
from ray.exceptions import RayActorError

from paretune.engine import _notice
from paretune.engine.messages import Ended, Message, Reported, Setup, Task
from paretune.engine.standstill import Patience
from paretune.errors import ParetuneError

MESSAGE = "paretune_message"
"""The key of a Tune result under which the message travels."""

TASK = "task"
"""The key of a Tune trial's config under which the task travels."""


class _Run(Protocol):
    def advance(self) -> Message: ...

    def stop(self) -> None: ...


class TrialActor(tune.Trainable):
    """Runs the tasks it is given, one at a time."""

    def setup(self, config: dict[str, Any], setup: Setup) -> None:  # type: ignore[override]
        """Called by Tune once per actor process."""
        self._setup = setup
        self._train: Any = None
        self._task: Task = config[TASK]
        self._run: _Run | None = None
        self._saved = False  # the loop waits at a report that came with a checkpoint
        if setup.workers == 1:
            _notice.heed_sigterm()
        self._patience = Patience(setup.hang_s)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called by Tune when the actor is to go on with another trial."""
        self._stop()
        self._task = new_config[TASK]
        return True

    def step(self) -> dict[str, Any]:
        """Let the loop go on to its next report or its end; the first step starts it.

        Raises:
            RayActorError: this process is to end soon, which Tune takes for no failure of the trial.
        """
        if self._saved and (why := _notice.to_actor()) is not None:
            self._stop()
            raise RayActorError(error_msg=why, preempted=True)
        if self._run is None:
            self._run = self._start(self._task)
        try:
            message = self._run.advance()
        except ParetuneError:
            self._run = None  # nothing there to be stopped: Tune ends this process, and what may hang in it
            raise
        self._saved = self._setup.workers == 1 and isinstance(message, Reported) and message.checkpoint is not None
        done = isinstance(message, Ended)
        if done:
            self._run = None
        return {MESSAGE: message, "done": done}

    def cleanup(self) -> None:
        """Called by Tune before the actor goes."""
        self._stop()

    def _start(self, task: Task) -> _Run:
        if task.gang is not None:
            return _GangRun(task)
        from paretune.engine import loop
        from paretune.engine.inline import InlineRun

        self._train = self._train or loop.load(self._setup.code, self._setup.path)
        return InlineRun(self._setup, self._train, task, self._patience)

    def _stop(self) -> None:
        run, self._run, self._saved = self._run, None, False
        if run is not None:
            run.stop()


class _GangRun:
    """A task that a gang runs; the trial actor only passes messages on."""

    def __init__(self, task: Task) -> None:
        assert task.gang is not None
        name, namespace = task.gang.split("@")
        self._gang: Any = ray.get_actor(name, namespace=namespace)
        ray.get(self._gang.assign.remote(task))

    def advance(self) -> Message:
        message: Message = ray.get(self._gang.advance.remote())
        return message

    def stop(self) -> None:
        ray.get(self._gang.stop_task.remote())
