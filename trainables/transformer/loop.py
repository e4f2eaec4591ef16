"""The training loop of the transformer over bytes: reports `val_loss`, `tokens_per_s` and `peak_memory_mb` each epoch.

A token is a byte. The three are in conflict: a wider, deeper model with a longer context predicts better, trains slower
and needs more memory. So does the layout, which is a part of the configuration: it changes speed and memory alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ray.train
import torch
from torch import nn
from torch.optim import Optimizer

from paretune.train import (
    Layout,
    Run,
    Specimen,
    batches_per_epoch,
    even_batches,
    make_optimizer,
    make_schedule,
    parameter_groups,
    prepare,
    read_settings,
    scaled_lr,
    shuffled_batches,
    start_seed,
    training_device,
)
from paretune.train.optimizers import OptimizerName
from paretune.train.schedule import Scaling, Schedule
from paretune.trainables.datasets import Split, Text, TextSet, text
from paretune.trainables.transformer.model import Positions, Transformer, next_byte_loss

_LAYERS_TIMED_ON = 8  # windows, to cut a pipeline at balanced cost


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
    layout: Mapping[str, Any] = field(default_factory=dict)  # entries of `Layout`, all but clip_norm


def train(config: Mapping[str, Any]) -> None:
    """Train the transformer on the configured text, under the configured layout.

    Reports each epoch: `val_loss` and `train_loss` in nats per byte, `tokens_per_s` and `samples_per_s` (bytes and
    windows trained on, of all workers), `peak_memory_mb` of the worker that needed most, `parameters` (a count),
    `epoch` (those finished), and of a pipeline `bubble`, the share of time in which its workers wait.
    """
    settings = read_settings(TransformerConfig, config)
    seed = start_seed(settings.seed)
    train_set = load(settings, "train").to(training_device())
    val_set = load(settings, "val").to(training_device())
    model, layout = build(settings), replace(Layout.of(config), clip_norm=settings.clip)
    count = sum(parameter.numel() for parameter in model.parameters())
    batches = batches_per_epoch(
        len(train_set), settings.batch_size, share=(0, layout.data), multiple=layout.microbatches
    )
    with prepare(
        model,
        lambda parameters: build_optimizer(parameters, settings),
        layout,
        loss=next_byte_loss,
        scheduler_fn=lambda optimizer: make_schedule(
            optimizer,
            settings.schedule,
            steps=settings.epochs * -(-batches // layout.accumulate),
            warmup=settings.warmup,
        ),
        example=train_set[torch.arange(_LAYERS_TIMED_ON)][0] if layout.pipeline > 1 else None,
        tokens_per_sample=settings.context,
        representation=model.blocks[-1],
    ) as run:
        done = run.resume() or {"epoch": 0}
        for epoch in range(done["epoch"], settings.epochs):
            run.restart_stats()
            started_s = time.perf_counter()
            train_loss = train_epoch(run, train_set, settings, seed=seed, epoch=epoch)
            windows_per_s = len(train_set) / (time.perf_counter() - started_s)
            metrics = {
                "val_loss": text_loss(run, val_set),
                "train_loss": train_loss,
                "tokens_per_s": windows_per_s * settings.context,
                "samples_per_s": windows_per_s,
                "peak_memory_mb": run.stats.peak_memory_bytes / 1e6,
                "parameters": count,
                "epoch": epoch + 1,
                **({} if run.stats.bubble is None else {"bubble": run.stats.bubble}),
            }
            with run.snapshot({"epoch": epoch + 1}) as checkpoint:
                ray.train.report(metrics, checkpoint=checkpoint)


def preflight(config: Mapping[str, Any]) -> Specimen:
    """What `train` trains with, for `paretune preflight`; at the peak of the learning rate."""
    settings = read_settings(TransformerConfig, config)
    return Specimen(
        model=lambda: build(settings),
        optimizer=lambda model: build_optimizer(model.parameters(), settings),
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


def build_optimizer(parameters: Iterable[nn.Parameter], settings: TransformerConfig) -> Optimizer:
    """The configured optimizer at the rate that belongs to the batch; norms and biases are not decayed."""
    lr = scaled_lr(
        settings.lr,
        settings.lr_scaling,
        batch_size=settings.batch_size * settings.layout.get("accumulate", 1),
        base_batch_size=settings.base_batch_size,
    )
    return make_optimizer(
        settings.optimizer,
        parameter_groups(parameters),
        lr=lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def train_epoch(run: Run, data: Text, settings: TransformerConfig, *, seed: int, epoch: int) -> float:
    """One pass over the training windows; the mean loss over all workers, nats per byte."""
    device, multiple = data.content.device, run.layout.microbatches
    total, count = 0.0, 0
    for index_B in shuffled_batches(
        len(data), settings.batch_size, seed=seed, epoch=epoch, share=run.share, multiple=multiple
    ):
        loss = run.step(data[index_B.to(device)])
        total, count = total + loss * len(index_B), count + len(index_B)
    run.flush()
    return total / count


def text_loss(run: Run, data: Text, *, batch_size: int = 64) -> float:
    """The mean loss over all windows of a split, nats per byte."""
    (k, n), device = run.share, data.content.device
    return sum(
        run.evaluate(data[index_B[k::n].to(device)]) * len(index_B)
        for index_B in even_batches(len(data), batch_size * n)
    ) / len(data)
