"""Examine what one configuration trains with, before a study spends its budget on hundreds of them.

A trainable takes part by a function `preflight(config) -> Specimen` beside its training function. The checks are the
old recipe of practitioners (Karpathy, "A Recipe for Training Neural Networks", 2019): one batch, a handful of samples
learned by heart, and targets shuffled among the samples, from which nothing may be learned.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paretune.train.batches import batches_per_epoch, shuffled_batches
from paretune.train.device import training_device
from paretune.train.memory import PeakMemory
from paretune.train.seed import generator, seed_everything

HANDFUL = 10  # samples to learn by heart
OVERFIT_STEPS, LESSONS = 200, 100
_TIMED_STEPS = 7  # after one that is not; their median ignores what else the machine does
_VALIDATION_BATCH = 256
_SURE = 3.0  # standard errors: where inputs say nothing, differences reach that once in hundreds of times


class Samples(Protocol):
    """A split: its size, and inputs (B, ...) and targets (B, ...) by an index tensor (B,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index_B: Tensor, /) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """What a configuration trains with. `model` builds a new model each time; `loss` is a mean over the samples."""

    model: Callable[[], nn.Module]
    optimizer: Callable[[nn.Module], Optimizer]
    loss: Callable[[Tensor, Tensor], Tensor]
    train: Samples
    val: Samples
    batch_size: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found. Losses are those of `Specimen.loss`."""

    parameters: int
    without_gradient: tuple[str, ...]
    """Trained parameters that one batch gives no gradient."""
    not_finite: tuple[str, ...]
    """Parameters whose gradient is not finite, or "the loss"."""
    first_loss: float
    by_heart: tuple[float, float]
    """Of a handful of samples, before and after training on them alone."""
    lessons: float
    """Mean loss of batches that are new to the model, over the second half of a short training."""
    lessons_shuffled: float
    """The same with targets shuffled among the samples of each batch."""
    lessons_t: float
    """How much more true targets taught than shuffled ones, over the whole training, in standard errors."""
    step_s: float
    validation_s: float
    steps_per_epoch: int
    epochs: int
    peak_memory_bytes: int

    @property
    def learns_by_heart(self) -> bool:
        """At least half of the loss is gone; false for NaN."""
        before, after = self.by_heart
        return after < before - abs(before) / 2

    @property
    def inputs_tell(self) -> bool:
        """True targets teach something about new samples that shuffled ones do not; false for NaN."""
        return self.lessons_t > _SURE

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch with its validation, on this one worker."""
        return self.steps_per_epoch * self.step_s + self.validation_s


def examine(specimen: Specimen, *, seed: int = 0) -> Examination:
    """All checks on this process's device, reproducibly but for the times."""
    seed_everything(seed)
    device = training_device()
    memory = PeakMemory(device)
    model = specimen.model().to(device)
    inputs, targets = _take(specimen.train, torch.arange(min(specimen.batch_size, len(specimen.train))), device)
    first = specimen.loss(model.train()(inputs), targets)
    first.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    step_s = _step_s(specimen, model, inputs, targets)
    steps_per_epoch = batches_per_epoch(len(specimen.train), specimen.batch_size)
    peak_memory_bytes = memory.read_bytes()
    validation_s = _validation_s(specimen, model, device)
    true, gains = _lessons(specimen, device, seed=seed, shuffled=False)
    shuffled, gains_shuffled = _lessons(specimen, device, seed=seed, shuffled=True)
    half = len(true) // 2
    return Examination(
        parameters=sum(p.numel() for p in model.parameters()),
        without_gradient=tuple(name for name, gradient in gradients.items() if gradient is None),
        not_finite=tuple(
            ["the loss"] * (not math.isfinite(first.item()))
            + [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
        ),
        first_loss=first.item(),
        by_heart=_by_heart(specimen, device, seed=seed),
        lessons=statistics.fmean(true[half:]),
        lessons_shuffled=statistics.fmean(shuffled[half:]),
        lessons_t=_t([a - b for a, b in zip(gains, gains_shuffled, strict=True)]),
        step_s=step_s,
        validation_s=validation_s,
        steps_per_epoch=steps_per_epoch,
        epochs=specimen.epochs,
        peak_memory_bytes=peak_memory_bytes,
    )


def _step_s(specimen: Specimen, model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    optimizer, times_s = specimen.optimizer(model), []
    for _ in range(1 + _TIMED_STEPS):
        started_s = time.perf_counter()
        _step(specimen, model, optimizer, inputs, targets).item()  # waits for the device
        times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s[1:])


def _by_heart(specimen: Specimen, device: torch.device, *, seed: int) -> tuple[float, float]:
    """The loss of a handful of samples in training, first and last."""
    seed_everything(seed)
    model = specimen.model().to(device)
    optimizer = specimen.optimizer(model)
    inputs, targets = _take(specimen.train, torch.arange(min(HANDFUL, len(specimen.train))), device)
    losses = [_step(specimen, model, optimizer, inputs, targets).item() for _ in range(OVERFIT_STEPS)]
    return losses[0], losses[-1]


def _lessons(specimen: Specimen, device: torch.device, *, seed: int, shuffled: bool) -> tuple[list[float], list[float]]:
    """The losses of batches that are new to the model when it meets them, and how much the untrained model lost more.

    The second takes out what the untrained model happens to say about the targets.
    """
    seed_everything(seed)
    model = specimen.model().to(device)
    untrained = copy.deepcopy(model).train()
    optimizer = specimen.optimizer(model)
    size = len(specimen.train)
    batch_size = min(specimen.batch_size, max(1, size // 8))  # several batches also where one holds everything
    losses, gains = [], []
    for step, index_B in enumerate(islice(shuffled_batches(size, batch_size, seed=seed, epoch=0), LESSONS)):
        inputs, targets = _take(specimen.train, index_B, device)
        if shuffled:
            targets = targets[torch.randperm(len(targets), generator=generator(seed, step)).to(device)]
        with torch.no_grad():
            before = specimen.loss(untrained(inputs), targets).item()
        losses.append(_step(specimen, model, optimizer, inputs, targets).item())
        gains.append(before - losses[-1])
    return losses, gains


def _t(differences: list[float]) -> float:
    """The mean in units of its standard error; NaN for fewer than two, equal ones, or one that is not finite."""
    if len(differences) < 2 or not all(map(math.isfinite, differences)) or len(set(differences)) == 1:
        return math.nan
    return statistics.fmean(differences) / (statistics.stdev(differences) / math.sqrt(len(differences)))


def _step(specimen: Specimen, model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> Tensor:
    """One step; the loss before it."""
    optimizer.zero_grad()
    loss = specimen.loss(model.train()(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def _validation_s(specimen: Specimen, model: nn.Module, device: torch.device) -> float:
    """Seconds of a pass over the held-out samples."""
    model.eval()
    started_s = time.perf_counter()
    for index_B in torch.arange(len(specimen.val)).split(_VALIDATION_BATCH):
        inputs, targets = _take(specimen.val, index_B, device)
        specimen.loss(model(inputs), targets).item()
    return time.perf_counter() - started_s


def _take(samples: Samples, index_B: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    inputs, targets = samples[index_B]
    return inputs.to(device), targets.to(device)
