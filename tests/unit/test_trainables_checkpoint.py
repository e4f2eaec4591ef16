"""Checkpoints: everything that decides what comes next is in them, and nothing that could run code."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import ray.train
import torch
from ray.train import Checkpoint
from torch import nn

from paretune.errors import TrialStopped
from paretune.train import restore, rng, seed_everything, snapshot


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.normal()), float(torch.rand(()))  # noqa: NPY002 - the global ones are meant


def build() -> tuple[nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler
) -> torch.Tensor:
    optimizer.zero_grad()
    model(torch.rand(8, 3)).square().mean().backward()
    optimizer.step()
    scheduler.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_weights_optimizer_scheduler_and_random_states_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_everything(0)
    parts = model, optimizer, scheduler = build()
    step(*parts)
    draw()  # numpy keeps the second of two normal variates: an odd number of draws must survive too
    with snapshot(model, optimizer, epoch=3, scheduler=scheduler) as checkpoint:
        assert checkpoint is not None
        checkpoint.to_directory(tmp_path / "kept")
    expected = draw(), step(*parts), draw()

    seed_everything(99)
    parts = model, optimizer, scheduler = build()
    monkeypatch.setattr(ray.train, "get_checkpoint", lambda: Checkpoint.from_directory(tmp_path / "kept"))
    assert restore(model, optimizer, scheduler=scheduler) == 3
    found = draw(), step(*parts), draw()
    assert found[0] == expected[0]
    assert torch.equal(found[1], expected[1])
    assert found[2] == expected[2]
    assert scheduler.get_last_lr() == [0.1 * 0.5**2]


def test_without_a_checkpoint_a_trial_starts_at_epoch_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray.train, "get_checkpoint", lambda: None)
    model, optimizer, _ = build()
    before = model.state_dict()["weight"].clone()
    assert restore(model, optimizer) == 0
    assert torch.equal(model.state_dict()["weight"], before)


def test_the_folder_is_gone_after_the_block_also_when_the_trial_is_stopped_in_it() -> None:
    model, optimizer, _ = build()
    folders: list[Path] = []

    def report_and_stop() -> None:
        with snapshot(model, optimizer, epoch=1) as checkpoint:
            assert checkpoint is not None
            folders.append(Path(checkpoint.path))
            assert any(folders[0].iterdir())
            raise TrialStopped

    with pytest.raises(TrialStopped):
        report_and_stop()
    assert not folders[0].exists()


def test_a_worker_that_is_new_to_the_trial_draws_its_own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of one worker continued on two: repeatable, and not a copy of rank 0's stream."""
    seed_everything(0)
    states = [rng.rng_state()]
    rng.load_rng(states)
    first = draw()
    monkeypatch.setattr(rng, "rank", lambda: 1)
    rng.load_rng(states)
    second = draw()
    rng.load_rng(states)
    assert draw() == second
    assert second != first
