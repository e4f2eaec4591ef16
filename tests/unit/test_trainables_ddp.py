"""Two data-parallel workers (gloo, in processes of their own) against one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

import saved

CONFIG: dict[str, Any] = {"channels": 4, "hidden": 32, "batch_size": 64, "seed": 1, "optimizer": "sgd", "lr": 0.05}

FORECAST: dict[str, Any] = {"seq_len": 32, "horizon": 4, "patch_len": 8, "stride": 8, "batch_size": 2048, "lr": 1e-2}

TEXT: dict[str, Any] = {"width": 16, "depth": 1, "heads": 2, "context": 32, "batch_size": 8}

# run -> (config, run whose checkpoint it starts from); "forecast" is xPatch, "text" the transformer, the others the CNN
RUNS: dict[str, tuple[dict[str, Any], str | None]] = {
    "plain": ({**CONFIG, "dropout": 0.0, "epochs": 2}, None),
    "straight": ({**CONFIG, "dropout": 0.4, "epochs": 2}, None),
    "half": ({**CONFIG, "dropout": 0.4, "epochs": 1}, None),
    "resumed": ({**CONFIG, "dropout": 0.4, "epochs": 2}, "half"),
    "forecast": ({**FORECAST, "seed": 1, "warmup_epochs": 1, "epochs": 2}, None),
    "text": ({**TEXT, "seed": 1, "epochs": 2}, None),
}


def worker(rank: int, world: int, folder: str) -> None:
    """One of `world` workers, all runs in turn: starting a process costs more than the training."""
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    try:
        for run in RUNS:
            train(run, rank, world, Path(folder))
    finally:
        if world > 1:
            dist.destroy_process_group()


def train(run: str, rank: int, world: int, folder: Path) -> None:
    """What Ray Train does around a loop, by hand; leaves reports and checkpoint in `folder / run`."""
    import ray.train
    import ray.train.torch
    from ray.train import Checkpoint
    from torch.nn.parallel import DistributedDataParallel

    from paretune.trainables import cnn, datasets, transformer, xpatch

    loops = {"forecast": xpatch.train, "text": transformer.train}
    config, start = RUNS[run]
    resume = Checkpoint.from_directory(folder / start / "checkpoint") if start else None
    reports: list[dict[str, Any]] = []
    (folder / run).mkdir(exist_ok=True)

    def report(metrics: dict[str, Any], checkpoint: Checkpoint | None = None) -> None:
        assert (checkpoint is not None) == (rank == 0 or run == "text"), "under a layout every worker has its part"
        reports.append(metrics)
        if checkpoint is not None:
            shutil.copytree(checkpoint.path, folder / run / "checkpoint", dirs_exist_ok=True)

    full, val = datasets.images("digits", "train"), datasets.images("digits", "val")
    even = datasets.Images(full.pixels[:1024], full.labels[:1024])  # divides by two, so that no image is repeated
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cnn, "images", lambda name, split: even if split == "train" else val)
        patch.setattr(ray.train, "report", report)
        patch.setattr(ray.train, "get_checkpoint", lambda: resume)
        patch.setattr(ray.train.torch, "prepare_model", DistributedDataParallel if world > 1 else lambda model: model)
        patch.setattr(datasets, "_ett", lambda name: series())
        patch.setattr(datasets, "_standard_library", lambda split: bytes(i * i % 251 for i in range(16 * 32 + 1)))
        loops.get(run, cnn.train)(config)
    torch.save({"reports": reports, "draw": torch.rand(())}, folder / run / f"worker-{rank}.pt")
    if world > 1:
        dist.barrier()  # the next run may start from this one's checkpoint


def series() -> npt.NDArray[np.float64]:
    """A synthetic series in place of a file that would have to be fetched, its level rising so that shards differ."""
    t = np.arange(17_420.0)[:, None]
    values: npt.NDArray[np.float64] = np.sin(2 * np.pi * t / np.array([24.0, 168.0])) * (1 + t / 5000)
    return values


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    for run in ("plain", "text"):
        train(run, 0, 1, folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    spawn(worker, args=(2, str(folder)), nprocs=2)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return saved.weights(folder / "checkpoint")


def reports(folder: Path, rank: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = torch.load(folder / f"worker-{rank}.pt", weights_only=True)["reports"]
    return found


def test_two_workers_train_the_same_model_as_one(one: Path, two: Path) -> None:
    """`batch_size` counts all workers' samples, and the validation error is that of the whole split."""
    for key, weight in weights(one / "plain").items():
        torch.testing.assert_close(weights(two / "plain")[key], weight, rtol=1e-3, atol=1e-5)
    for alone, shared in zip(reports(one / "plain", 0), reports(two / "plain", 0), strict=True):
        assert shared["val_error"] == pytest.approx(alone["val_error"], abs=1.5 / 360)
        assert shared["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-3)


def test_two_workers_train_the_same_transformer_as_one(one: Path, two: Path) -> None:
    for key, weight in weights(one / "text").items():
        torch.testing.assert_close(weights(two / "text")[key], weight, rtol=1e-3, atol=1e-4)
    for alone, left, right in zip(
        *(reports(one / "text", 0), *(reports(two / "text", r) for r in (0, 1))), strict=True
    ):
        for metric in ("train_loss", "val_loss"):
            assert left[metric] == right[metric] == pytest.approx(alone[metric], rel=1e-4)
        assert left["peak_memory_mb"] == right["peak_memory_mb"]


def test_every_worker_reports_the_reduced_metrics(two: Path) -> None:
    for left, right in zip(reports(two / "plain", 0), reports(two / "plain", 1), strict=True):
        for metric in ("val_error", "val_loss", "train_loss"):
            assert left[metric] == right[metric]


def test_two_workers_resume_exactly(two: Path) -> None:
    """Every worker gets its own random state back, so also the dropout masks are the same."""
    resumed = weights(two / "resumed")
    assert all(torch.equal(resumed[key], weight) for key, weight in weights(two / "straight").items())
    draws = {
        run: [float(torch.load(two / run / f"worker-{rank}.pt", weights_only=True)["draw"]) for rank in (0, 1)]
        for run in ("straight", "resumed")
    }
    assert draws["straight"] == draws["resumed"]
    assert draws["straight"][0] != draws["straight"][1]


def test_the_reported_error_is_that_of_the_saved_forecaster(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BatchNorm's running statistics differ between workers; all validate rank 0's, which are saved."""
    from paretune.trainables import datasets
    from paretune.trainables.xpatch import loop

    monkeypatch.setattr(datasets, "_ett", lambda name: series())
    settings = loop.XPatchConfig(**RUNS["forecast"][0])
    model = loop.build(settings, channels=2)
    model.load_state_dict(weights(two / "forecast"))
    mse, mae = loop.forecast_errors(model, loop.load(settings, "val"))
    for rank in (0, 1):
        assert reports(two / "forecast", rank)[-1]["val_mse"] == pytest.approx(mse, rel=1e-6)
        assert reports(two / "forecast", rank)[-1]["val_mae"] == pytest.approx(mae, rel=1e-6)
