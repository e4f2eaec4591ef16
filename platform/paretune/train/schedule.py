"""Learning rates: how they grow with the batch, and how they change while a model trains.

The schedules are torch's; here they share one horizon, counted in optimizer steps, and one way to warm up.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from paretune.errors import SpecError

Scaling = Literal["none", "sqrt", "linear"]
Schedule = Literal["constant", "cosine", "step", "polynomial", "one_cycle"]


def scaled_lr(lr: float, rule: Scaling, *, batch_size: int, base_batch_size: int) -> float:
    """The learning rate for a batch of another size than the one that `lr` is for.

    linear: lr * k for k times the batch (Goyal et al., arXiv:1706.02677), to be warmed up; sqrt: lr * sqrt(k), which
    keeps the variance of the step (Krizhevsky, arXiv:1404.5997), and is LAMB's; none: `lr`.
    """
    if batch_size < 1 or base_batch_size < 1:
        raise SpecError(f"batch_size and base_batch_size must be >= 1, got {batch_size} and {base_batch_size}")
    if rule == "none":
        return lr
    if rule == "sqrt":
        return lr * math.sqrt(batch_size / base_batch_size)
    if rule == "linear":
        return lr * batch_size / base_batch_size
    raise SpecError(f"learning-rate scaling must be one of {', '.join(get_args(Scaling))}, got {rule!r}")


def make_schedule(
    optimizer: Optimizer, name: Schedule, *, steps: int, warmup: float = 0.0, power: float = 1.0, gamma: float = 0.1
) -> LRScheduler:
    """The schedule of that name over `steps` optimizer steps; call its `step()` after each of them.

    The rate rises linearly to the optimizer's own in the first `warmup` share of the steps, and then:
    constant: stays; cosine: falls to 0 along half a cosine; step: is multiplied by `gamma` after each third;
    polynomial: falls to 0 as (1 - t)^power; one_cycle: rises along a cosine, from a 25th, for the `warmup` share
    (Smith & Topin, arXiv:1708.07120), and falls along another; momentum stays as it is.

    Raises SpecError: an unknown name, no steps, or a warmup outside of [0, 1).
    """
    if steps < 1:
        raise SpecError(f"schedule: steps must be >= 1, got {steps}")
    if not 0.0 <= warmup < 1.0:
        raise SpecError(f"schedule: warmup must be a share of the steps in [0, 1), got {warmup}")
    if name == "one_cycle":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps + 1, pct_start=warmup, cycle_momentum=False)
    rising = min(round(warmup * steps), steps - 1)
    if rising < 2:  # one step at the full rate is no warmup
        return _after_warmup(optimizer, name, steps=steps, power=power, gamma=gamma)
    after = _after_warmup(optimizer, name, steps=steps - rising, power=power, gamma=gamma)
    warming = LinearLR(optimizer, start_factor=1 / rising, total_iters=rising - 1)
    return SequentialLR(optimizer, [warming, after], milestones=[rising])


def _after_warmup(optimizer: Optimizer, name: str, *, steps: int, power: float, gamma: float) -> LRScheduler:
    if name == "constant":
        return ConstantLR(optimizer, factor=1.0, total_iters=0)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if name == "step":
        return StepLR(optimizer, step_size=math.ceil(steps / 3), gamma=gamma)
    if name == "polynomial":
        return PolynomialLR(optimizer, total_iters=steps, power=power)
    raise SpecError(f"schedule must be one of {', '.join(get_args(Schedule))}, got {name!r}")
