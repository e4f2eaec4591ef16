"""The training loop of the transformer over bytes: reports `val_loss`, `tokens_per_s` and `peak_memory_mb` each epoch.

A token is a byte. The three are in conflict: a wider, deeper model with a longer context predicts better, trains slower
and needs more memory.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from paretune.train import (
    PeakMemory,
    Specimen,
    Watch,
    batch_indices,
    batches_per_epoch,
    make_optimizer,
    make_schedule,
    max_over_ranks,
    parameter_groups,
    read_settings,
    restore,
    scaled_lr,
    shuffled_batches,
    snapshot,
    start_seed,
    sum_over_ranks,
    training_device,
    unwrap,
)
from paretune.train.optimizers import OptimizerName
from paretune.train.schedule import Scaling, Schedule
from paretune.trainables.datasets import Split, Text, TextSet, text
from paretune.trainables.transformer.model import Positions, Transformer, next_byte_loss


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """The keys of `config`; those absent take these defaults."""

    dataset: TextSet = "python"
    context: int = 128  # bytes that a prediction may look back on
    width: int = 64
    depth: int = 2
    heads: int = 4
    dropout: float = 0.0
    positions: Positions = "rope"
    tied: bool = False
    optimizer: OptimizerName = "adamw"
    lr: float = 3e-3  # for a batch of `base_batch_size`; the peak of the schedule
    momentum: float = 0.9  # of sgd and lars
    weight_decay: float = 0.1  # of the matrices
    clip: float = 1.0  # of the gradient's norm
    schedule: Schedule = "cosine"
    warmup: float = 0.05  # share of all steps
    batch_size: int = 16  # windows of one step over all workers
    base_batch_size: int = 16
    lr_scaling: Scaling = "sqrt"
    epochs: int = 10
    seed: int | None = None


def train(config: Mapping[str, Any]) -> None:
    """Train the transformer on the configured text.

    Reports each epoch: `val_loss` and `train_loss` in nats per byte, `tokens_per_s` and `samples_per_s` (bytes and
    windows trained on, of all workers), `peak_memory_mb` of the worker that needed most, `parameters` (a count),
    `epoch` (those finished).
    """
    settings = read_settings(TransformerConfig, config)
    seed = start_seed(settings.seed)
    device = training_device()
    memory, watch = PeakMemory(device), Watch()
    train_set = load(settings, "train").to(device)
    val_set = load(settings, "val").to(device)

    model = ray.train.torch.prepare_model(build(settings))
    optimizer = build_optimizer(model, settings)
    steps = settings.epochs * batches_per_epoch(len(train_set), settings.batch_size)
    scheduler = make_schedule(optimizer, settings.schedule, steps=steps, warmup=settings.warmup)
    parameters = sum(p.numel() for p in model.parameters())

    for epoch in range(restore(model, optimizer, scheduler=scheduler, watch=watch), settings.epochs):
        started_s = time.perf_counter()
        train_loss = train_epoch(model, optimizer, scheduler, train_set, settings, watch=watch, seed=seed, epoch=epoch)
        windows_per_s = len(train_set) / (time.perf_counter() - started_s)
        metrics = {
            "val_loss": text_loss(model, val_set),
            "train_loss": train_loss,
            "tokens_per_s": windows_per_s * settings.context,
            "samples_per_s": windows_per_s,
            "peak_memory_mb": max_over_ranks(torch.tensor(memory.read_bytes(), device=device)).item() / 1e6,
            "parameters": parameters,
            "epoch": epoch + 1,
        }
        with snapshot(model, optimizer, epoch=epoch + 1, scheduler=scheduler, watch=watch) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)


def preflight(config: Mapping[str, Any]) -> Specimen:
    """What `train` trains with, for `paretune preflight`; at the peak of the learning rate."""
    settings = read_settings(TransformerConfig, config)
    return Specimen(
        model=lambda: build(settings),
        optimizer=lambda model: build_optimizer(model, settings),
        loss=next_byte_loss,
        train=load(settings, "train"),
        val=load(settings, "val"),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
    )


def load(settings: TransformerConfig, split: Split) -> Text:
    """One split of the configured text, cut into windows."""
    return text(settings.dataset, split, context=settings.context)


def build(settings: TransformerConfig) -> Transformer:
    """The configured model on the CPU."""
    return Transformer(
        width=settings.width,
        depth=settings.depth,
        heads=settings.heads,
        context=settings.context,
        dropout=settings.dropout,
        positions=settings.positions,
        tied=settings.tied,
    )


def build_optimizer(model: nn.Module, settings: TransformerConfig) -> Optimizer:
    """The configured optimizer at the rate that belongs to the batch; norms and biases are not decayed."""
    lr = scaled_lr(
        settings.lr,
        settings.lr_scaling,
        batch_size=settings.batch_size,
        base_batch_size=settings.base_batch_size,
    )
    return make_optimizer(
        settings.optimizer,
        parameter_groups(model),
        lr=lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def train_epoch(
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    data: Text,
    settings: TransformerConfig,
    *,
    watch: Watch,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training windows; the mean loss over all workers, nats per byte."""
    device = data.content.device
    total = torch.zeros(2, device=device)  # sum of the windows' losses, windows
    model.train()
    for index_B in shuffled_batches(len(data), settings.batch_size, seed=seed, epoch=epoch):
        bytes_BT, next_BT = data[index_B.to(device)]
        loss = next_byte_loss(model(bytes_BT), next_BT)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        scheduler.step()
        watch.step(loss, grad_norm=norm)
        total += torch.stack([loss.detach() * len(index_B), loss.new_tensor(len(index_B))])
    watch.look()
    loss_sum, count = sum_over_ranks(total).tolist()
    return float(loss_sum / count)


@torch.no_grad()
def text_loss(model: nn.Module, data: Text, *, batch_size: int = 64) -> float:
    """The mean loss over all windows of a split, nats per byte."""
    inner = unwrap(model).eval()
    device = data.content.device
    total = torch.zeros(2, dtype=torch.float64, device=device)  # sum of the windows' losses, windows
    for index_B in batch_indices(len(data), batch_size):
        bytes_BT, next_BT = data[index_B.to(device)]
        loss = next_byte_loss(inner(bytes_BT), next_BT).double()
        total += torch.stack([loss * len(index_B), loss.new_tensor(len(index_B))])
    loss_sum, count = sum_over_ranks(total).tolist()
    return float(loss_sum / count)
