"""A small convolutional classifier of grey images: reports `val_error` and `latency_ms` each epoch.

Two objectives in conflict: more channels and a wider hidden layer lower the error and cost time.
Shape legend: B batch, H height, W width, F features after the convolutions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from paretune.train import (
    Specimen,
    Watch,
    batch_indices,
    latency_ms,
    make_optimizer,
    read_settings,
    restore,
    shuffled_batches,
    snapshot,
    start_seed,
    sum_over_ranks,
    training_device,
    unwrap,
)
from paretune.train.optimizers import OptimizerName
from paretune.trainables.datasets import Images, ImageSet, images

CLASSES = 10
LATENCY_BATCH = 64  # images per timed pass: what the published comparison uses


@dataclass(frozen=True, slots=True)
class CnnConfig:
    """The keys of `config`; those absent take these defaults."""

    dataset: ImageSet = "digits"
    channels: int = 16  # of the first convolution; the second has twice as many
    hidden: int = 128
    dropout: float = 0.25
    optimizer: OptimizerName = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9  # of sgd and lars
    batch_size: int = 32  # images of one step over all workers
    epochs: int = 10
    seed: int | None = None


def train(config: Mapping[str, Any]) -> None:
    """Train the CNN on the configured images.

    Reports each epoch: `val_error` (a share), `val_loss`, `train_loss`, `latency_ms` of a batch of 64, `epoch` (those
    finished), `samples_per_s` (training images of all workers).
    """
    settings = read_settings(CnnConfig, config)
    seed = start_seed(settings.seed)
    device = training_device()
    train_set = images(settings.dataset, "train").to(device)
    val_set = images(settings.dataset, "val").to(device)

    model = ray.train.torch.prepare_model(build(settings, side=train_set.pixels.shape[-1]))
    optimizer = build_optimizer(model, settings)
    watch = Watch()

    for epoch in range(restore(model, optimizer, watch=watch), settings.epochs):
        started_s = time.perf_counter()
        train_loss = train_epoch(model, optimizer, train_set, settings.batch_size, watch=watch, seed=seed, epoch=epoch)
        train_s = time.perf_counter() - started_s
        val_error, val_loss = classification_errors(model, val_set)
        metrics = {
            "val_error": val_error,
            "val_loss": val_loss,
            "train_loss": train_loss,
            "latency_ms": latency_ms(unwrap(model), val_set.pixels[:LATENCY_BATCH]),
            "epoch": epoch + 1,
            "samples_per_s": len(train_set) / train_s,
        }
        with snapshot(model, optimizer, epoch=epoch + 1, watch=watch) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)


def preflight(config: Mapping[str, Any]) -> Specimen:
    """What `train` trains with, for `paretune preflight`."""
    settings = read_settings(CnnConfig, config)
    train_set = images(settings.dataset, "train")
    return Specimen(
        model=lambda: build(settings, side=train_set.pixels.shape[-1]),
        optimizer=lambda model: build_optimizer(model, settings),
        loss=functional.cross_entropy,
        train=train_set,
        val=images(settings.dataset, "val"),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
    )


class Cnn(nn.Module):
    """conv-pool-conv-pool-FC-dropout-FC: (B, 1, H, W) -> class scores (B, 10); H = W = `side`, a multiple of 4."""

    def __init__(self, *, side: int, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(2 * channels * (side // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, CLASSES),
        )

    def forward(self, x_B1HW: Tensor) -> Tensor:
        scores_BK: Tensor = self.classifier(self.features(x_B1HW))
        return scores_BK


def build(settings: CnnConfig, *, side: int) -> Cnn:
    """The configured model on the CPU, for images of `side` x `side` pixels."""
    return Cnn(side=side, channels=settings.channels, hidden=settings.hidden, dropout=settings.dropout)


def build_optimizer(model: nn.Module, settings: CnnConfig) -> torch.optim.Optimizer:
    """The configured optimizer."""
    return make_optimizer(
        settings.optimizer,
        model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Images,
    batch_size: int,
    *,
    watch: Watch,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training images; the mean cross-entropy over all workers."""
    device = data.pixels.device
    total = torch.zeros(2, device=device)  # sum of losses, images
    model.train()
    for index_B in shuffled_batches(len(data), batch_size, seed=seed, epoch=epoch):
        pixels_B1HW, labels_B = data[index_B.to(device)]
        loss = functional.cross_entropy(model(pixels_B1HW), labels_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss)
        total += torch.stack([loss.detach() * len(index_B), loss.new_tensor(len(index_B))])
    watch.look()
    loss_sum, count = sum_over_ranks(total).tolist()
    return float(loss_sum / count)


@torch.no_grad()
def classification_errors(model: nn.Module, data: Images, *, batch_size: int = 1024) -> tuple[float, float]:
    """The share of wrong classes and the mean cross-entropy over a split."""
    inner = unwrap(model).eval()
    total = torch.zeros(3, dtype=torch.float64, device=data.pixels.device)  # wrong, sum of losses, images
    for index_B in batch_indices(len(data), batch_size):
        pixels_B1HW, labels_B = data[index_B.to(data.pixels.device)]
        scores_BK = inner(pixels_B1HW)
        wrong = (scores_BK.argmax(dim=1) != labels_B).sum().double()
        loss = functional.cross_entropy(scores_BK, labels_B, reduction="sum").double()
        total += torch.stack([wrong, loss, loss.new_tensor(len(index_B))])
    wrong_sum, loss_sum, count = sum_over_ranks(total).tolist()
    return wrong_sum / count, loss_sum / count
