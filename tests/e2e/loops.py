"""Training loops for the end-to-end tests: quick, deterministic, resuming from checkpoints."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def known(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
    """What `steady` and `quick` report at an epoch, and the seconds it takes to get there: a `pt.simulate` of them."""
    error = (config["x"] - 0.3) ** 2 + 1.0 / epoch
    return {"error": error, "cost": config["width"] / 10 + epoch / 100}, float(epoch)


def steady(config: dict[str, Any]) -> None:
    """Count epochs in a checkpoint; the error is a function of the configuration and the epoch alone."""
    import ray.train
    from ray.train import Checkpoint

    state = {"epoch": 0, "trail": []}
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            state = json.loads(Path(folder, "state.json").read_text())
    rank = ray.train.get_context().get_world_rank()
    for epoch in range(state["epoch"] + 1, config.get("epochs", 4) + 1):
        time.sleep(config.get("sleep_s", 0.05))
        state = {"epoch": epoch, "trail": [*state["trail"], epoch]}
        metrics = {**known(config, epoch)[0], "epoch": epoch, "counted": len(state["trail"])}
        with tempfile.TemporaryDirectory() as folder:
            if rank == 0:
                Path(folder, "state.json").write_text(json.dumps(state))
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
            else:
                ray.train.report(metrics)


def inheriting(config: dict[str, Any]) -> None:
    """Write into the checkpoint which configuration trained each epoch; a wider one is better."""
    import ray.train
    from ray.train import Checkpoint

    trail: list[float] = []
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            trail = json.loads(Path(folder, "trail.json").read_text())
    for epoch in range(len(trail) + 1, config["epochs"] + 1):
        time.sleep(config["sleep_s"])
        trail = [*trail, config["x"]]
        metrics = {"error": -sum(trail), "epoch": epoch, "counted": len(trail)}
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "trail.json").write_text(json.dumps(trail))
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))


def quick(config: dict[str, Any]) -> None:
    """Two reports, no checkpoint."""
    import ray.train

    for epoch in (1, 2):
        ray.train.report({**known(config, epoch)[0], "epoch": epoch, "note": "text is left out"})


def troubled(config: dict[str, Any]) -> None:
    """Wide ones raise, narrow ones diverge, one in between forgets an objective."""
    import ray.train

    if config["width"] > 32:
        raise ValueError(f"width {config['width']} does not fit")
    if config["width"] < 4:
        ray.train.report({"error": 1.0, "cost": 1.0})
        ray.train.report({"error": float("nan"), "cost": 1.0})
    if config["width"] < 8:
        ray.train.report({"error": 1.0, "eror": 2.0})
    ray.train.report({"error": config["x"], "cost": float(config["width"])})


def always_failing(config: dict[str, Any]) -> None:
    """Fails before its first report."""
    raise RuntimeError("the data set is not there")


def silent(config: dict[str, Any]) -> None:
    """Returns without a report."""


def one_rank_fails(config: dict[str, Any]) -> None:
    """In wide trials rank 1 raises while rank 0 waits for it in a collective."""
    import ray.train
    import torch

    rank = ray.train.get_context().get_world_rank()
    if config["width"] > 16 and rank == 1:
        raise ValueError("rank 1 ran out of luck")
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    ray.train.report({"error": total.item(), "cost": float(config["width"]), "pid": os.getpid()})


def watched(config: dict[str, Any]) -> None:
    """In wide trials the sixth loss of rank 1 is infinite; the ranks look at theirs together after every fourth."""
    import math

    import ray.train

    from paretune.train import Rules, Watch

    watch, rank = Watch(Rules(every=4)), ray.train.get_context().get_world_rank()
    for step in range(1, 9):
        watch.step(math.inf if config["width"] > 16 and rank == 1 and step == 6 else 1.0)
    ray.train.report({"error": 1.0, "cost": float(config["width"]), "pid": os.getpid()})


def killed_once(config: dict[str, Any]) -> None:
    """The second epoch of the first trial kills its last rank with SIGKILL, once."""
    import ray.train

    context = ray.train.get_context()
    marker = Path(config["marker"])
    last = context.get_world_rank() == context.get_world_size() - 1
    checkpoint = ray.train.get_checkpoint()
    if last and not marker.exists() and checkpoint:
        raise AssertionError("the first attempt began with a checkpoint")
    original, config["sleep_s"] = time.sleep, 0.0

    def sleep_or_die(seconds: float) -> None:
        if last and not marker.exists() and marker.with_suffix(".armed").exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        marker.with_suffix(".armed").touch()
        original(0.05)

    time.sleep = sleep_or_die
    try:
        steady(config)
    finally:
        time.sleep = original


def hangs_once(config: dict[str, Any]) -> None:
    """`steady`, but at its third epoch the first attempt's rank 1 sleeps while rank 0 waits in a collective."""
    import ray.train
    import torch

    rank, marker = ray.train.get_context().get_world_rank(), Path(config["marker"])
    original, epochs = time.sleep, itertools.count(1)

    def sleep_or_hang(seconds: float) -> None:
        if next(epochs) == 3 and rank == 1 and not marker.exists():
            marker.touch()
            original(3600)
        torch.distributed.all_reduce(torch.ones(1))

    time.sleep = sleep_or_hang
    try:
        steady(config)
    finally:
        time.sleep = original


def environment(config: dict[str, Any]) -> None:
    """Reports what it finds, trains the same model in every trial, and leaves a mess behind."""
    import random
    import threading
    import warnings

    import numpy as np
    import psutil
    import ray.train
    import ray.train.torch
    import torch
    from torch.nn.modules.module import register_module_forward_hook

    groups = torch.distributed.distributed_c10d._world
    found = {
        "error": random.random(),
        "numpy": float(np.random.rand()),  # noqa: NPY002
        "torch": torch.rand(1).item(),
        "cost": float(os.environ.get("PARETUNE_TEST_MESS", 0)),
        "pid": os.getpid(),
        "groups": len(groups.pg_map),
        "resident": psutil.Process().memory_info().rss,
    }
    torch.manual_seed(0)
    model = ray.train.torch.prepare_model(torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Linear(32, 8)))
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(torch.randn(16, 8)).square().mean()
        loss.backward()
        optimizer.step()
    ray.train.report({**found, "trained": loss.item()})
    os.environ["PARETUNE_TEST_MESS"] = os.environ["OMP_NUM_THREADS"] = "1"
    os.chdir("/")
    ray.train.torch.enable_reproducibility(seed=random.randrange(1000))
    warnings.simplefilter("error")
    torch.set_num_threads(2 + random.randrange(2))
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_float32_matmul_precision("medium")
    torch.set_autocast_enabled("cpu", True)
    torch.set_grad_enabled(False)
    register_module_forward_hook(lambda module, inputs, output: output + 1)
    torch.distributed.new_group(backend="gloo")
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def resuming(config: dict[str, Any]) -> None:
    """Data-parallel, with dropout, a checkpoint after each epoch: whatever is not restored shows in the loss."""
    import ray.train
    import torch
    from torch import nn

    from paretune import train

    layers = [nn.Linear(4, 8 + config["width"] % 8), nn.Dropout(0.2), nn.Linear(8 + config["width"] % 8, 1)]
    x, y = torch.linspace(-1, 1, 64).view(16, 4), torch.linspace(0, 1, 16).view(16, 1)
    layout = train.Layout.of(config)
    rate = 10 ** (config["x"] - 2)
    run = train.prepare(layers, lambda p: torch.optim.AdamW(p, lr=rate), layout, loss=nn.functional.mse_loss)
    state = run.resume() or {"epoch": 0}
    k, n = run.share
    for epoch in range(state["epoch"] + 1, config["epochs"] + 1):
        time.sleep(config["sleep_s"])
        order = torch.randperm(16)
        loss = sum(run.step((x[rows][k::n], y[rows][k::n])) for rows in order.split(8))
        metrics = {"error": run.evaluate((x[k::n], y[k::n])), "cost": loss, "epoch": epoch, "world": n}
        with run.snapshot({"epoch": epoch}) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)


def laid_out(config: dict[str, Any]) -> None:
    """Two epochs under a layout of two workers, with a checkpoint each; the run is left open, as by a stopped trial.

    Worker `greedy` asks for an exabyte in the first one.
    """
    import os

    import ray.train
    import torch
    from torch import nn

    from paretune import train

    groups = len(torch.distributed.distributed_c10d._world.pg_map)
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)]
    x, y = torch.linspace(-1, 1, 64).view(16, 4), torch.linspace(0, 1, 16).view(16, 1)
    layout, loss = train.Layout.of(config), nn.functional.mse_loss
    run = train.prepare(layers, lambda p: torch.optim.AdamW(p, lr=config["lr"]), layout, loss=loss, example=x)
    state = run.resume() or {"epoch": 0}
    k, n = run.share
    for epoch in range(state["epoch"] + 1, 3):
        for _ in range(3):
            run.step((x[k::n], y[k::n]))
            if config["greedy"] == torch.distributed.get_rank():
                torch.empty(2**60)
        metrics = {
            "error": run.evaluate((x[k::n], y[k::n])),
            "process": os.getpid(),
            "cost": run.stats.step_s,
            "epoch": epoch,
            "groups": groups,
        }
        with run.snapshot({"epoch": epoch}) as checkpoint:
            ray.train.report(metrics, checkpoint=checkpoint)
