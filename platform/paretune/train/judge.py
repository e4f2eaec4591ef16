"""The rules by which a training is ended that cannot come to anything.

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
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional

from paretune.errors import DivergedError, StarvedError


@dataclass(frozen=True, slots=True)
class Rules:
    """When a trial is ended; the table above."""

    every: int = 16  # steps: a window
    patience: int = 3  # windows
    rise: float = 2.0  # with a positive loss: three times that of the start
    norm_rise: float = 1e4
    spread: float = 0.01
    alive: float = 0.01
    waiting: float = 0.95
    waiting_s: float = 60.0  # shorter waits are those of loaders that start their workers


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one step, the same on all workers; None: not looked at in this step."""

    loss: float
    norm: float | None = None
    spread: float | None = None
    alive: float | None = None
    waited_s: float = 0.0
    """Of `elapsed_s`, for data."""
    elapsed_s: float = 0.0
    """Since the step before."""


class Judge:
    """Applies the rules to the steps of one trial. It waits for nobody: all workers tell it the same."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window: list[Look] = []
        self._steps = 0
        self._first: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        self._starved_s = 0.0

    def lacks(self, what: Literal["norm", "spread"]) -> bool:
        """Whether no step of this window has it yet; once in each is enough."""
        return all(getattr(look, what) is None for look in self._window)

    def step(self, look: Look) -> None:
        """Note a step.

        Raises:
            DivergedError, StarvedError: at every `Rules.every`-th step, and at once for what is not finite.
        """
        self._window.append(look)
        _finite("the loss", look.loss, self._steps + len(self._window))
        if look.norm is not None:
            _finite("the gradient's norm", look.norm, self._steps + len(self._window))
        if len(self._window) == self._rules.every:
            self.judge()

    def judge(self) -> None:
        """Judge the steps of a window, which may be incomplete; none: nothing to judge. Raises as `step`."""
        if not self._window:
            return
        window, self._window = self._window, []
        self._steps += len(window)
        self._divergence([look.loss for look in window])
        self._explosion([look.norm for look in window if look.norm is not None])
        self._death([look.alive for look in window if look.alive is not None])
        self._collapse([look.spread for look in window if look.spread is not None])
        self._starvation(sum(look.waited_s for look in window), sum(look.elapsed_s for look in window))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed trial is judged by: numbers alone. `judge` first, so that no step is left out."""
        return {"steps": self._steps, "first": dict(self._first), "strikes": dict(self._strikes)}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._steps, self._first, self._strikes = state["steps"], dict(state["first"]), dict(state["strikes"])
        self._window = []

    # -- the rules -----------------------------------------------------------------------------------------------------

    def _divergence(self, losses: list[float]) -> None:
        loss, rules = _mean(losses), self._rules
        start = self._first.setdefault("loss", loss)
        deviation = self._first.setdefault("deviation", math.sqrt(_mean([(x - loss) ** 2 for x in losses])))
        if self._broken("divergence", loss > start + rules.rise * max(abs(start), deviation)):
            raise DivergedError(f"the loss was {start:.4g} at the start and is {loss:.4g} at step {self._steps}")

    def _explosion(self, norms: list[float]) -> None:
        if not norms:
            return
        norm = _mean(norms)
        start = self._first.setdefault("norm", norm)
        if self._broken("explosion", norm > self._rules.norm_rise * start):
            raise DivergedError(
                f"the gradient's norm was {start:.4g} at the start and is {norm:.4g} at step {self._steps}"
            )

    def _death(self, alive: list[float]) -> None:
        if alive and self._broken("death", _mean(alive) < self._rules.alive):
            raise DivergedError(
                f"the representation is dead: {_mean(alive):.1%} of its features differ within a batch, at step "
                f"{self._steps}"
            )

    def _collapse(self, spreads: list[float]) -> None:
        if spreads and self._broken("collapse", _mean(spreads) < self._rules.spread):
            raise DivergedError(
                f"the representation has collapsed: all samples point the same way, spread {_mean(spreads):.2g} of 1, "
                f"at step {self._steps}"
            )

    def _starvation(self, waited_s: float, elapsed_s: float) -> None:
        starved = waited_s > self._rules.waiting * elapsed_s
        self._starved_s = self._starved_s + elapsed_s if starved else 0.0
        if self._broken("starvation", starved) and self._starved_s >= self._rules.waiting_s:
            raise StarvedError(
                f"{waited_s / elapsed_s:.0%} of the time went into waiting for data, at step {self._steps}",
                hint="more workers of the data loader, or data that is prepared beforehand; Rules(waiting=1) if what "
                "lies between two steps is meant to take so long",
            )

    def _broken(self, rule: str, broken: bool) -> bool:
        """Whether it was broken often enough on end."""
        self._strikes[rule] = self._strikes.get(rule, 0) + 1 if broken else 0
        return self._strikes[rule] >= self._rules.patience


def spread_and_alive(x: Tensor) -> tuple[Tensor | float, Tensor | float]:
    """Of (..., D) vectors: the deviation of their directions, at most 1, and the share of features that vary."""
    rows_ND = x.flatten(0, -2).float()
    if len(rows_ND) < 2:
        return 1.0, 1.0
    directions_ND = functional.normalize(rows_ND, dim=-1)
    spread = directions_ND.std(dim=0).square().sum().sqrt()
    return spread, (rows_ND.amax(dim=0) > rows_ND.amin(dim=0)).double().mean()


def _finite(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(f"{what} is {value} at step {step}")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
