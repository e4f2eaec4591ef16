"""Watchers: they end a training that cannot come to anything, with the reason, before it spends its budget.

    watch = Watch()
    for batch in watch.batches(loader):
        ...
        watch.step(loss, grad_norm=norm)  # both may be tensors on the device; nothing waits for them
    watch.look()  # at an epoch's end, before the report

Steps are looked at in windows of `Rules.every`: one reading of the device and one small all-reduce per window. Workers
judge the same means, so they end a trial at the same step and none is left waiting in a collective.

    rule          broken when, in means over a window and over the workers                            ends the trial as
    not finite    the loss or the gradient's norm of a step is NaN or infinite                        diverged, at once
    divergence    loss > start + rise * max(|start|, deviation), both of the loss in the first window         diverged
    explosion     the gradient's norm > norm_rise * its mean in the first window                              diverged
    collapse      the representations of a batch all point the same way: spread < `spread` (1: every way)     diverged
    death         fewer than `alive` of the representations' features differ within a batch                   diverged
    starvation    more than `waiting` of the time went into waiting for data, over at least `waiting_s`         failed

All but the first must be broken in `patience` windows on end: a spike is no divergence. The factors are meant to be
far from what a sound training does, since ending one that would have recovered costs more than a few more windows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from paretune.errors import DivergedError, StarvedError
from paretune.train.device import training_device
from paretune.train.ranks import sum_over_ranks, world_size

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Rules:
    """When a watcher ends a trial; the table above."""

    every: int = 16  # steps
    patience: int = 3  # windows
    rise: float = 2.0  # with a positive loss: three times that of the start
    norm_rise: float = 1e4
    spread: float = 0.01
    alive: float = 0.01
    waiting: float = 0.95
    waiting_s: float = 60.0  # shorter waits are those of loaders that start their workers


class Watch:
    """The watchers of one trial; every worker makes the same calls."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._device = training_device()
        self._pending: list[tuple[Tensor | float, Tensor | float, Tensor | float, Tensor | float]] = []
        self._steps = 0
        self._first: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        self._since_s, self._waited_s = time.perf_counter(), 0.0
        self._starved_s = 0.0

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
        spread, alive = (1.0, 1.0) if representation is None else _spread_and_alive(representation.detach())
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
        losses, norms, spreads, alive, (waited_s, elapsed_s) = (
            part.tolist() for part in shared.split([len(self._pending)] * len(columns) + [2])
        )
        self._pending, self._waited_s, self._since_s = [], 0.0, now_s
        self._finite("the loss", losses)
        self._finite("the gradient's norm", norms)
        self._steps += len(losses)
        self._divergence(losses)
        self._explosion(_mean(norms))
        self._collapse(_mean(spreads), _mean(alive))
        self._starvation(waited_s, elapsed_s)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed trial is judged by: numbers alone. `look` first, so that no step is left out."""
        return {"steps": self._steps, "first": dict(self._first), "strikes": dict(self._strikes)}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._steps, self._first, self._strikes = state["steps"], dict(state["first"]), dict(state["strikes"])

    # -- the rules -----------------------------------------------------------------------------------------------------

    def _finite(self, what: str, values: list[float]) -> None:
        for step, value in enumerate(values, start=self._steps + 1):
            if not math.isfinite(value):
                raise DivergedError(f"{what} is {value} at step {step}")

    def _divergence(self, losses: list[float]) -> None:
        loss, rules = _mean(losses), self._rules
        start = self._first.setdefault("loss", loss)
        deviation = self._first.setdefault("deviation", math.sqrt(_mean([(x - loss) ** 2 for x in losses])))
        if self._broken("divergence", loss > start + rules.rise * max(abs(start), deviation)):
            raise DivergedError(f"the loss was {start:.4g} at the start and is {loss:.4g} at step {self._steps}")

    def _explosion(self, norm: float) -> None:
        start = self._first.setdefault("norm", norm)
        if self._broken("explosion", norm > self._rules.norm_rise * start):
            raise DivergedError(
                f"the gradient's norm was {start:.4g} at the start and is {norm:.4g} at step {self._steps}"
            )

    def _collapse(self, spread: float, alive: float) -> None:
        if self._broken("death", alive < self._rules.alive):
            raise DivergedError(
                f"the representation is dead: {alive:.1%} of its features differ within a batch, at step {self._steps}"
            )
        if self._broken("collapse", spread < self._rules.spread):
            raise DivergedError(
                f"the representation has collapsed: all samples point the same way, spread {spread:.2g} of 1, at step "
                f"{self._steps}"
            )

    def _starvation(self, waited_s: float, elapsed_s: float) -> None:
        starved = waited_s > self._rules.waiting * elapsed_s
        self._starved_s = self._starved_s + elapsed_s if starved else 0.0
        if self._broken("starvation", starved) and self._starved_s >= self._rules.waiting_s:
            raise StarvedError(
                f"{waited_s / elapsed_s:.0%} of the time went into waiting for data, at step {self._steps}",
                hint="more workers of the data loader, or data that is prepared beforehand",
            )

    def _broken(self, rule: str, broken: bool) -> bool:
        """Whether it was broken often enough on end."""
        self._strikes[rule] = self._strikes.get(rule, 0) + 1 if broken else 0
        return self._strikes[rule] >= self._rules.patience

    def _idle_probe(self) -> Any:
        """A function that says whether the device has run out of work since; a CPU has none while it waits."""
        if self._device.type != "cuda":
            return lambda: True
        event = torch.cuda.Event()
        event.record()
        return event.query


def _spread_and_alive(x: Tensor) -> tuple[Tensor | float, Tensor | float]:
    """Of (..., D) vectors: the deviation of their directions, at most 1, and the share of features that vary."""
    rows_ND = x.flatten(0, -2).float()
    if len(rows_ND) < 2:
        return 1.0, 1.0
    directions_ND = functional.normalize(rows_ND, dim=-1)
    spread = directions_ND.std(dim=0).square().sum().sqrt()
    return spread, (rows_ND.amax(dim=0) > rows_ND.amin(dim=0)).double().mean()


def _detached(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else value


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
