"""Every built-in training loop, run in this process with Ray Train's side of it replaced or in its local mode."""

from __future__ import annotations

import importlib
import math
import random
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, ScalingConfig
from ray.train.torch import TorchTrainer

import saved
from paretune import study
from paretune.errors import SpecError, TrialStopped
from paretune.train import start_seed
from paretune.trainables import cnn, datasets

ROOT = Path(__file__).resolve().parents[2]

# small enough for a second per run; on synthetic series, see `no_files`
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"channels": 4, "hidden": 32, "batch_size": 64},
    "transformer": {"width": 16, "depth": 1, "heads": 2, "context": 16, "dropout": 0.1},
    "xpatch": {"seq_len": 32, "horizon": 4, "patch_len": 8, "stride": 8, "batch_size": 2048, "lr": 1e-2},
}
OBJECTIVES = {
    "cnn": {"val_error", "val_loss", "train_loss", "latency_ms"},
    "transformer": {"val_loss", "train_loss", "tokens_per_s", "peak_memory_mb"},
    "xpatch": {"val_mse", "val_mae"},
}
MEASURED = {"latency_ms", "tokens_per_s", "peak_memory_mb"}  # of the machine, so never twice the same
LOADERS = {"cnn": "images", "transformer": "text", "xpatch": "windows"}  # of paretune.trainables.datasets


def loop(name: str) -> Callable[[Mapping[str, Any]], None]:
    train: Callable[[Mapping[str, Any]], None] = importlib.import_module(f"paretune.trainables.{name}").train
    return train


class TrainSide:
    """What Ray Train does for a loop: takes reports, keeps copies of checkpoints, hands one back to a resumed run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.reports: list[dict[str, Any]] = []
        self.checkpoints: list[Checkpoint] = []
        self.resume_from: Checkpoint | None = None
        self.stop_after: int | None = None  # reports
        monkeypatch.setattr(ray.train, "report", self.report)
        monkeypatch.setattr(ray.train, "get_checkpoint", lambda: self.resume_from)
        monkeypatch.setattr(ray.train.torch, "prepare_model", lambda model: model)

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None = None) -> None:
        assert checkpoint is not None
        kept = self.folder / f"checkpoint-{len(self.checkpoints)}"
        shutil.copytree(checkpoint.path, kept)
        self.reports.append(metrics)
        self.checkpoints.append(Checkpoint.from_directory(kept))
        if len(self.reports) == self.stop_after:
            raise TrialStopped

    def weights(self, index: int = -1) -> dict[str, torch.Tensor]:
        return saved.weights(Path(self.checkpoints[index].path))


@pytest.fixture
def train_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSide:
    return TrainSide(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A synthetic series instead of a file that would have to be fetched, two seasons and noise; a short text."""
    t = np.arange(17_420.0)[:, None]
    noise = np.random.default_rng(0).normal(size=(len(t), 2))
    series = np.sin(2 * np.pi * t / np.array([24.0, 168.0])) + 0.1 * noise
    monkeypatch.setattr(datasets, "_ett", lambda name: series)
    monkeypatch.setattr(datasets, "_standard_library", lambda split: bytes(range(32, 127)) * 12)


@pytest.mark.parametrize("name", SMALL)
def test_each_epoch_reports_finite_numbers(name: str, train_side: TrainSide) -> None:
    loop(name)({**SMALL[name], "epochs": 3, "seed": 0})
    assert [report["epoch"] for report in train_side.reports] == [1, 2, 3]
    for report in train_side.reports:
        assert OBJECTIVES[name] | {"samples_per_s"} <= set(report)
        assert all(type(value) in (int, float) and math.isfinite(value) for value in report.values())
        assert report["samples_per_s"] > 0


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", [{"seed": 3}, {}], ids=["seed in config", "seeded by the platform"])
def test_four_epochs_are_the_same_with_a_stop_after_two(name: str, seed: dict[str, int], train_side: TrainSide) -> None:
    config = {**SMALL[name], **seed, "epochs": 4}
    torch.manual_seed(5)
    loop(name)(config)
    torch.manual_seed(5)
    train_side.stop_after = 4 + 2
    with pytest.raises(TrialStopped):
        loop(name)(config)
    train_side.resume_from = train_side.checkpoints[-1]
    for scramble in (random.seed, np.random.seed, torch.manual_seed):
        scramble(5)
    loop(name)(config)

    assert [report["epoch"] for report in train_side.reports] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert same_weights(train_side.weights(3), train_side.weights(7))
    for straight, resumed in zip(train_side.reports[:4], train_side.reports[4:], strict=True):
        for metric in OBJECTIVES[name] - MEASURED:
            assert straight[metric] == resumed[metric]


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides_the_result(name: str, train_side: TrainSide) -> None:
    for seed in (1, 2):
        loop(name)({**SMALL[name], "epochs": 1, "seed": seed})
    assert not same_weights(train_side.weights(0), train_side.weights(1))


@pytest.mark.parametrize("name", SMALL)
def test_a_finished_trial_trains_no_further(name: str, train_side: TrainSide) -> None:
    loop(name)({**SMALL[name], "epochs": 1})
    train_side.resume_from = train_side.checkpoints[-1]
    loop(name)({**SMALL[name], "epochs": 1})
    assert len(train_side.reports) == 1


@pytest.mark.parametrize("name", SMALL)
def test_training_never_asks_for_the_test_split(
    name: str, train_side: TrainSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    module = sys.modules[loop(name).__module__]
    real = getattr(datasets, LOADERS[name])

    def noting(dataset: str, split: str, **sizes: int) -> Any:
        asked.add(split)
        return real(dataset, split, **sizes)

    monkeypatch.setattr(module, LOADERS[name], noting)
    loop(name)({**SMALL[name], "epochs": 1})
    assert asked == {"train", "val"}


@pytest.mark.parametrize("name", SMALL)
def test_a_key_that_the_loop_does_not_read_is_refused(name: str, train_side: TrainSide) -> None:
    with pytest.raises(SpecError, match="did you mean 'batch_size'"):
        loop(name)({"batchsize": 32})


@pytest.mark.parametrize("name", SMALL)
def test_the_loop_runs_in_ray_trains_own_local_mode(name: str) -> None:
    """No cluster, nothing replaced: an ordinary Ray Train loop."""
    result = TorchTrainer(
        loop(name), train_loop_config={**SMALL[name], "epochs": 2}, scaling_config=ScalingConfig(num_workers=0)
    ).fit()
    assert result.metrics is not None
    assert result.metrics["epoch"] == 2


@pytest.mark.parametrize("name", SMALL)
def test_the_search_space_fits_the_loop(name: str, train_side: TrainSide) -> None:
    """The spec reads, its objectives are reported, and the loop knows every parameter of its space."""
    spec = study.load(ROOT / "search_spaces" / f"{name}.yaml")
    assert spec.trainable == name
    for unit in (0.0, 0.999):  # both ends, so that every conditional parameter is met
        config = {**spec.constants(), **spec.space.decode(np.full(len(spec.space), unit))}
        loop(name)({**config, **{k: v for k, v in SMALL[name].items() if k not in spec.space}, "epochs": 1})
    assert set(spec.objectives.names) <= set(train_side.reports[-1])


@pytest.mark.parametrize("name", SMALL)
def test_the_preflight_trains_what_the_loop_trains(name: str, train_side: TrainSide) -> None:
    """One step of a one-batch epoch, on all samples: the loop reports the very loss of the specimen's fresh model."""
    config = {**SMALL[name], "batch_size": 10**6, "dropout": 0.0, "epochs": 1, "seed": 0}
    if name == "xpatch":
        del config["dropout"]
    specimen = sys.modules[loop(name).__module__].preflight(config)  # type: ignore[attr-defined]
    loop(name)(config)
    start_seed(0)
    inputs, targets = specimen.train[torch.arange(len(specimen.train))]
    expected = specimen.loss(specimen.model()(inputs), targets).item()
    assert train_side.reports[0]["train_loss"] == pytest.approx(expected, rel=1e-4)
    assert (specimen.batch_size, specimen.epochs) == (10**6, 1)


def test_the_cnn_learns_the_digits(train_side: TrainSide) -> None:
    cnn.train({"epochs": 8, "seed": 0})
    errors = [report["val_error"] for report in train_side.reports]
    assert errors[-1] < 0.1
    assert train_side.reports[-1]["train_loss"] < train_side.reports[0]["train_loss"]


def test_a_wider_cnn_takes_longer(train_side: TrainSide) -> None:
    """The two objectives of the built-in study are in conflict."""
    for channels in (4, 64):
        cnn.train({"channels": channels, "epochs": 1, "seed": 0})
    narrow, wide = (report["latency_ms"] for report in train_side.reports)
    assert 0 < narrow < wide / 2


def test_momentum_matters_to_sgd_alone(train_side: TrainSide) -> None:
    for optimizer in ("sgd", "adamw"):
        for momentum in (0.5, 0.9):
            cnn.train({**SMALL["cnn"], "epochs": 1, "seed": 0, "optimizer": optimizer, "momentum": momentum})
    weights = [train_side.weights(i) for i in range(4)]
    assert not same_weights(weights[0], weights[1])
    assert same_weights(weights[2], weights[3])
    with pytest.raises(SpecError, match="one of adamw, lamb, lars, sgd, got 'lion'"):
        cnn.train({"optimizer": "lion"})


def test_the_cnns_layers_are_those_of_the_classic_one() -> None:
    model = cnn.build(cnn.CnnConfig(), side=28)
    conv = (9 * 16 + 16) + (9 * 16 * 32 + 32)
    assert sum(p.numel() for p in model.parameters()) == conv + (32 * 49 * 128 + 128) + (128 * 10 + 10)
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
