"""Loops as Ray Train's documentation writes them for a TorchTrainer: nothing here knows paretune."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import ray.data
import ray.train.collective
import ray.train.torch
import torch
from ray import train
from ray.train import Checkpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def get_dataloaders(batch_size: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(80, 3, generator=generator)
    y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
    training, test = TensorDataset(X[:64], y[:64]), TensorDataset(X[64:], y[64:])
    return DataLoader(training, batch_size=batch_size, shuffle=True), DataLoader(test, batch_size=batch_size)


def train_func_per_worker(config: dict[str, Any]) -> None:
    """The quick start, with the guides to checkpoints, to reproducibility and to collectives."""
    ray.train.torch.enable_reproducibility(seed=7)
    context = ray.train.get_context()
    train_dataloader, test_dataloader = get_dataloaders(batch_size=8)
    train_dataloader = ray.train.torch.prepare_data_loader(train_dataloader)
    test_dataloader = ray.train.torch.prepare_data_loader(test_dataloader)
    model = nn.Linear(3, 1)

    start_epoch = 1
    checkpoint = train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as checkpoint_dir:
            state = torch.load(Path(checkpoint_dir, "state.pt"))
        model.load_state_dict(state["model"])
        start_epoch = state["epoch"] + 1

    model = ray.train.torch.prepare_model(model)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 + 0.1 * config["x"])
    for epoch in range(start_epoch, 4):
        if context.get_world_size() > 1:
            train_dataloader.sampler.set_epoch(epoch)
        model.train()
        for X, y in train_dataloader:
            loss = loss_fn(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        test_loss = 0.0
        with torch.no_grad():
            for X, y in test_dataloader:
                test_loss += loss_fn(model(X), y).item() / len(test_dataloader)

        ray.train.collective.barrier()
        agreed = ray.train.collective.broadcast_from_rank_zero({"epoch": epoch, "rank": context.get_world_rank()})
        metrics = {
            "error": test_loss,
            "cost": float(config["width"]),
            "epoch": epoch,
            "world": context.get_world_size(),
            "batches": len(train_dataloader),
            "agreed": agreed == {"epoch": epoch, "rank": 0},
            "ranks": context.get_world_rank() == context.get_local_rank() == int(os.environ["RANK"]),
            "node": context.get_node_rank(),
            "trial": int(context.get_trial_id()),
            "saved": len(train.get_all_reported_checkpoints()),
            "devices": ray.train.torch.get_devices() == [ray.train.torch.get_device()],
            "preempted": train.get_preemption_info() is not None,
        }
        with tempfile.TemporaryDirectory() as temp_checkpoint_dir:
            checkpoint = None
            if context.get_world_rank() == 0:
                module = model.module if hasattr(model, "module") else model
                torch.save({"model": module.state_dict(), "epoch": epoch}, Path(temp_checkpoint_dir, "state.pt"))
                checkpoint = Checkpoint.from_directory(temp_checkpoint_dir)
            train.report(metrics, checkpoint=checkpoint, checkpoint_dir_name=f"epoch-{epoch}")
    last = train.get_all_reported_checkpoints()[-1]
    with last.checkpoint.as_directory() as checkpoint_dir:
        assert torch.load(Path(checkpoint_dir, "state.pt"))["epoch"] == last.metrics["epoch"] == 3


def make_datasets(config: dict[str, Any]) -> dict[str, Any]:
    """Datasets read anew by every driver."""
    rows = ray.data.range(config["rows"]).map_batches(lambda batch: {"x": batch["id"]})
    return {"train": rows, "val": ray.data.range(6)}


def train_func_on_a_dataset(config: dict[str, Any]) -> None:
    """The guide to Ray Data: two epochs over this worker's shard; most of the rows of a third one stay unread."""
    train_data_shard = train.get_dataset_shard("train")
    for _epoch in (1, 2):
        mine = [int(x) for batch in train_data_shard.iter_torch_batches(batch_size=4) for x in batch["x"]]
        checked = [int(i) for batch in train.get_dataset_shard("val").iter_torch_batches() for i in batch["id"]]
        everyone: list[list[int]] = [mine]
        if train.get_context().get_world_size() > 1:
            everyone = [[]] * train.get_context().get_world_size()
            torch.distributed.all_gather_object(everyone, mine)
        rows = [row for shard in everyone for row in shard]
        train.report({
            "error": config["x"], "cost": 1.0, "rows": len(rows), "different": len(set(rows)), "sum": sum(rows),
            "shards": len([shard for shard in everyone if shard]), "checked": len(checked),
        })  # fmt: skip
    next(iter(train_data_shard.iter_torch_batches(batch_size=1)))
