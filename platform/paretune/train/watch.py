"""Watchers: they end a training that cannot come to anything, with the reason, before it spends its budget.

    watch = Watch()
    for batch in watch.batches(loader):
        ...
        watch.step(loss, grad_norm=norm)  # both may be tensors on the device; nothing waits for them
    watch.look()  # at an epoch's end, before the report

Steps are looked at in windows of `Rules.every`: one reading of the device and one small all-reduce per window. Workers
judge the same means, so they end a trial at the same step and none is left waiting in a collective.

The rules are in judge.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from paretune.train.device import training_device
from paretune.train.judge import Judge, Look, Rules, spread_and_alive
from paretune.train.ranks import sum_over_ranks, world_size

Batch = TypeVar("Batch")


class Watch:
    """The watchers of one trial; every worker makes the same calls."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._judge = Judge(self._rules)
        self._device = training_device()
        self._pending: list[tuple[Tensor | float, Tensor | float, Tensor | float, Tensor | float]] = []
        self._since_s, self._waited_s = time.perf_counter(), 0.0

    def step(
        self,
        loss: Tensor | float,
        *,
        grad_norm: Tensor | float = 0.0,
        representation: Tensor | None = None,
    ) -> None:
        """Note one step: its loss, its gradient's norm before clipping, a representation (..., D) of its samples.

        What is handed over once is to be handed over at each step. Leave `grad_norm` out under a loss scale, which
        handles infinite ones itself.

        Raises:
            DivergedError, StarvedError: at every `Rules.every`-th step, as the table says.
        """
        spread, alive = (1.0, 1.0) if representation is None else spread_and_alive(representation.detach())
        self._pending.append((_detached(loss), _detached(grad_norm), spread, alive))
        if len(self._pending) == self._rules.every:
            self.look()

    def batches(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; how long each one was waited for counts towards starvation."""
        batches = iter(loader)
        while True:
            idle = self._idle_probe()
            started_s = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            if idle():
                self._waited_s += time.perf_counter() - started_s
            yield batch

    def look(self) -> None:
        """Judge the steps since the last look; no steps, nothing to judge. Raises as `step`."""
        if not self._pending:
            return
        columns = [
            torch.stack([torch.as_tensor(v, device=self._device).double() for v in c])
            for c in zip(*self._pending, strict=True)
        ]
        now_s = time.perf_counter()
        times = torch.tensor([self._waited_s, now_s - self._since_s], dtype=torch.float64, device=self._device)
        shared = sum_over_ranks(torch.cat([*columns, times])) / world_size()
        *steps, (waited_s, elapsed_s) = (
            part.tolist() for part in shared.split([len(self._pending)] * len(columns) + [2])
        )
        self._pending, self._waited_s, self._since_s = [], 0.0, now_s
        for loss, norm, spread, alive in zip(*steps, strict=True):
            self._judge.step(Look(loss, norm, spread, alive, waited_s / len(steps[0]), elapsed_s / len(steps[0])))
        self._judge.judge()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed trial is judged by: numbers alone. `look` first, so that no step is left out."""
        return self._judge.state_dict()

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._judge.load_state_dict(state)

    def _idle_probe(self) -> Any:
        """A function that says whether the device has run out of work since; a CPU has none while it waits."""
        if self._device.type != "cuda":
            return lambda: True
        event = torch.cuda.Event()
        event.record()
        return event.query


def _detached(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else value
