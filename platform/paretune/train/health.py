"""A run under the watchers' eyes: what they need of each step, at next to no cost.

The loss is that of all workers anyway, and what else they go by travels in the same all-reduce. The gradient's norm,
where neither clipping nor loss scaling needs it, and the representation are measured in one step of each window.
"""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor, nn

from paretune.train.judge import Judge, Look, Rules
from paretune.train.probe import Probe
from paretune.train.totals import Totals


class Health:
    """The watchers of one run; without rules they judge nothing. Every worker makes the same calls."""

    def __init__(self, rules: Rules | None, representation: nn.Module | None) -> None:
        self._judge = None if rules is None else Judge(rules)
        self._probe = Probe(representation if rules is not None else None)
        self._returned_s: float | None = None
        self._judged_s = 0.0
        self._waited_s = 0.0

    def step_begins(self) -> None:
        """From the end of the step before until now the worker was waiting for its batch."""
        now_s = time.perf_counter()
        if self._returned_s is None:
            self._judged_s = self._returned_s = now_s
        self._waited_s = now_s - self._returned_s
        if self._judge is not None and self._judge.lacks("spread"):
            self._probe.ask()

    def step_ends(self) -> None:
        """What follows is waiting for the next batch, but for what `pause` says."""
        self._returned_s = time.perf_counter()

    def pause(self) -> None:
        """What follows, until the next step, is something else than waiting for a batch."""
        self._returned_s = None

    def take_waited_s(self) -> float:
        waited_s, self._waited_s = self._waited_s, 0.0
        return waited_s

    def take_representation(self) -> Tensor | None:
        return self._probe.take()

    @property
    def wants_norm(self) -> bool:
        """Whether the gradient's norm of this step is to be measured."""
        return self._judge is not None and self._judge.lacks("norm")

    def look(self, totals: Totals, norm: float | None) -> None:
        """Judge a step, before its update; `norm` None: not measured. Raises as `judge`."""
        now_s = time.perf_counter()
        elapsed_s, self._judged_s = now_s - self._judged_s, now_s
        if self._judge is not None:
            waited_s = sum(totals.waited_s) / len(totals.waited_s)
            self._judge.step(Look(totals.loss, norm, totals.spread, totals.alive, waited_s, elapsed_s))

    def judge(self) -> None:
        """Judge the steps of an incomplete window.

        Raises:
            DivergedError, StarvedError: on all workers alike.
        """
        if self._judge is not None:
            self._judge.judge()

    def close(self) -> None:
        """Leave the model as it was."""
        self._probe.close()

    def state_dict(self) -> dict[str, Any] | None:
        """What a resumed run is judged by."""
        return None if self._judge is None else self._judge.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None, /) -> None:
        if self._judge is not None and state is not None:
            self._judge.load_state_dict(state)
