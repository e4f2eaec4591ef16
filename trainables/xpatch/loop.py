"""The training loop of xPatch on the hourly ETT series: reports `val_mse` and `val_mae` each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
import torch
from torch import nn

from paretune.train import (
    Specimen,
    Watch,
    batch_indices,
    read_settings,
    restore,
    share_buffers,
    shuffled_batches,
    snapshot,
    start_seed,
    sum_over_ranks,
    training_device,
    unwrap,
)
from paretune.trainables.datasets import SeriesSet, Split, Windows, windows
from paretune.trainables.xpatch.model import Streams, XPatch, horizon_weights, weighted_mae


@dataclass(frozen=True, slots=True)
class XPatchConfig:
    """The keys of `config`; those absent take these defaults, the paper's where it names one."""

    dataset: SeriesSet = "ETTh1"
    seq_len: int = 96
    horizon: int = 96
    patch_len: int = 16
    stride: int = 8
    alpha: float = 0.3  # weight of the newest step in the moving average
    streams: Streams = "both"
    lr: float = 1e-4  # the peak of the schedule
    warmup_epochs: float = 10.0  # w of the schedule: half the peak at w, half again at 10 w
    weight_decay: float = 0.01
    batch_size: int = 32  # windows of one step over all workers
    epochs: int = 100
    seed: int | None = None


def train(config: Mapping[str, Any]) -> None:
    """Train xPatch on the configured series.

    Reports each epoch: `val_mse` and `val_mae` in standardised units, `train_loss`, `parameters` (a count), `epoch`
    (those finished), `samples_per_s` (training windows of all workers).
    """
    settings = read_settings(XPatchConfig, config)
    seed = start_seed(settings.seed)
    device = training_device()
    train_set = load(settings, "train").to(device)
    val_set = load(settings, "val").to(device)

    model = ray.train.torch.prepare_model(build(settings, channels=train_set.series.shape[1]))
    optimizer = build_optimizer(model, settings)
    watch = Watch()
    parameters = sum(p.numel() for p in model.parameters())

    for epoch in range(restore(model, optimizer, watch=watch), settings.epochs):
        started_s = time.perf_counter()
        train_loss = train_epoch(model, optimizer, train_set, settings, watch=watch, seed=seed, epoch=epoch)
        train_s = time.perf_counter() - started_s
        val_mse, val_mae = forecast_errors(model, val_set)
        metrics = {
            "val_mse": val_mse,
            "val_mae": val_mae,
            "train_loss": train_loss,
            "parameters": parameters,
            "epoch": epoch + 1,
            "samples_per_s": len(train_set) / train_s,
        }
        with snapshot(model, optimizer, epoch=epoch + 1, watch=watch) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)


def preflight(config: Mapping[str, Any]) -> Specimen:
    """What `train` trains with, for `paretune preflight`; at the peak of the learning rate."""
    settings = read_settings(XPatchConfig, config)
    train_set = load(settings, "train")
    weights_T = horizon_weights(settings.horizon).to(training_device())
    return Specimen(
        model=lambda: build(settings, channels=train_set.series.shape[1]),
        optimizer=lambda model: build_optimizer(model, settings),
        loss=lambda forecast_BTC, target_BTC: weighted_mae(forecast_BTC, target_BTC, weights_T),
        train=train_set,
        val=load(settings, "val"),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
    )


def build_optimizer(model: nn.Module, settings: XPatchConfig) -> torch.optim.Optimizer:
    """AdamW, as in the paper; the loop sets its rate at each epoch."""
    return torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def load(settings: XPatchConfig, split: Split) -> Windows:
    """One split of the configured series, cut into windows."""
    return windows(settings.dataset, split, seq_len=settings.seq_len, horizon=settings.horizon)


def build(settings: XPatchConfig, *, channels: int) -> XPatch:
    """The configured model on the CPU."""
    return XPatch(
        channels=channels,
        seq_len=settings.seq_len,
        horizon=settings.horizon,
        patch_len=settings.patch_len,
        stride=settings.stride,
        alpha=settings.alpha,
        streams=settings.streams,
    )


def learning_rate(peak: float, epoch: int, *, warmup_epochs: float, steepness: float = 0.5) -> float:
    """The sigmoid schedule lr * [sigma(k (e - w)) - sigma(k/10 (e - 10 w))], e = 1, 2, ...

    It is 0 at e = 0, so epochs count from 1. k = 0.5 and w = 10 are the paper's.
    """
    k, w = steepness, warmup_epochs
    return peak * (_sigmoid(k * (epoch - w)) - _sigmoid(k / 10 * (epoch - 10 * w)))


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Windows,
    settings: XPatchConfig,
    *,
    watch: Watch,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training windows at the schedule's rate; the mean training loss over all workers."""
    device = data.series.device
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(settings.lr, epoch + 1, warmup_epochs=settings.warmup_epochs)
    weights_T = horizon_weights(settings.horizon).to(device)
    total = torch.zeros(2, device=device)  # sum of losses, windows
    model.train()
    for index_B in shuffled_batches(len(data), settings.batch_size, seed=seed, epoch=epoch):
        x_BLC, y_BTC = data[index_B.to(device)]
        loss = weighted_mae(model(x_BLC), y_BTC, weights_T)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss)
        total += torch.stack([loss.detach() * len(index_B), loss.new_tensor(len(index_B))])
    watch.look()
    loss_sum, count = sum_over_ranks(total).tolist()
    return float(loss_sum / count)


@torch.no_grad()
def forecast_errors(model: nn.Module, data: Windows, *, batch_size: int = 1024) -> tuple[float, float]:
    """Mean squared and mean absolute error of all forecasts over windows, steps and channels (standardised units)."""
    share_buffers(model)
    inner = unwrap(model).eval()
    device = data.series.device
    total = torch.zeros(3, dtype=torch.float64, device=device)  # squared, absolute, count
    for index_B in batch_indices(len(data), batch_size):
        x_BLC, y_BTC = data[index_B.to(device)]
        error = (inner(x_BLC) - y_BTC).double()
        total += torch.stack([error.square().sum(), error.abs().sum(), error.new_tensor(error.numel())])
    squared, absolute, count = sum_over_ranks(total).tolist()
    return squared / count, absolute / count


def _sigmoid(z: float) -> float:
    return 0.5 * (1.0 + math.tanh(z / 2))  # the same, without overflow
