"""What `paretune.train` offers: settings, seeds, batches, latency, checkpoints."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import paretune.train
from paretune.errors import SpecError
from paretune.train import (
    PeakMemory,
    batch_indices,
    batches_per_epoch,
    derive_seed,
    even_batches,
    generator,
    latency_ms,
    read_settings,
    seed_everything,
    shuffled_batches,
    start_seed,
    sum_over_ranks,
    unwrap,
)


def test_the_package_is_imported_without_torch_or_ray() -> None:
    code = "import sys, paretune.train; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_sorted() -> None:
    assert paretune.train.__all__ == sorted(paretune.train.__all__)
    for name in paretune.train.__all__:
        assert callable(getattr(paretune.train, name))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = paretune.train.nonsense


@dataclass(frozen=True)
class Settings:
    lr: float = 0.1
    momentum: float = 0.9


def test_settings_take_defaults_and_refuse_keys_that_nothing_reads() -> None:
    assert read_settings(Settings, {"lr": 0.5}) == Settings(lr=0.5, momentum=0.9)
    with pytest.raises(SpecError, match=r"unknown config key 'momentun'(?s:.*)did you mean 'momentum'"):
        read_settings(Settings, {"momentun": 0.5})


def test_seeding_repeats_python_numpy_and_torch() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    seed_everything(7)
    first = draw()
    assert draw() != first
    seed_everything(7)
    assert draw() == first


def test_the_start_seed_is_the_given_one_or_the_one_torch_was_seeded_with() -> None:
    assert start_seed(5) == 5
    torch.manual_seed(11)
    assert start_seed() == 11
    after = torch.rand(())
    torch.manual_seed(11)
    assert start_seed() == 11
    assert torch.rand(()) == after


def test_derived_seeds_differ_by_stream() -> None:
    seeds = {derive_seed(seed, stream) for seed in range(20) for stream in range(20)}
    assert len(seeds) == 400
    assert torch.equal(torch.rand(3, generator=generator(1, 2)), torch.rand(3, generator=generator(1, 2)))


@given(size=st.integers(1, 200), batch_size=st.integers(1, 64), epoch=st.integers(0, 3))
def test_an_epoch_visits_every_sample_once(size: int, batch_size: int, epoch: int) -> None:
    batches = list(shuffled_batches(size, batch_size, seed=0, epoch=epoch))
    assert len(batches) == batches_per_epoch(size, batch_size)
    assert torch.cat(batches).sort().values.tolist() == list(range(size))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert torch.cat(list(batch_indices(size, batch_size))).tolist() == list(range(size))


@given(size=st.integers(1, 100), batch_size=st.integers(1, 40), workers=st.integers(2, 5))
def test_workers_share_an_epoch(size: int, batch_size: int, workers: int) -> None:
    shards, validation = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paretune.train.batches.world_size", lambda: workers)
        for rank in range(workers):
            patch.setattr("paretune.train.batches.rank", lambda rank=rank: rank)
            shards.append(list(shuffled_batches(size, batch_size, seed=0, epoch=0)))
            assert len(shards[-1]) == batches_per_epoch(size, batch_size)
            validation.append(torch.cat([torch.empty(0, dtype=torch.int64), *batch_indices(size, batch_size)]))
    assert len({tuple(len(batch) for batch in shard) for shard in shards}) == 1  # DDP needs equal steps
    assert set(torch.cat([torch.cat(shard) for shard in shards]).tolist()) == set(range(size))
    assert torch.cat(validation).sort().values.tolist() == list(range(size))  # each once: the metric is exact


@given(size=st.integers(1, 100), batch_size=st.integers(1, 40), shares=st.integers(1, 4), multiple=st.integers(1, 4))
def test_shares_of_a_pipeline_divide_into_microbatches(size: int, batch_size: int, shares: int, multiple: int) -> None:
    asked: dict[str, Any] = {"multiple": multiple}
    parts = [
        list(shuffled_batches(size, batch_size, seed=0, epoch=0, share=(k, shares), **asked)) for k in range(shares)
    ]
    assert all(len(part) == batches_per_epoch(size, batch_size, share=(0, shares), **asked) for part in parts)
    assert len({tuple(len(batch) for batch in part) for part in parts}) == 1
    assert all(len(batch) % multiple == 0 for part in parts for batch in part)
    assert set(torch.cat([torch.cat(part) for part in parts]).tolist()) == set(range(size))


@given(size=st.integers(1, 200), batch_size=st.integers(1, 64))
def test_even_batches_hold_every_sample_once(size: int, batch_size: int) -> None:
    sizes = [len(batch) for batch in even_batches(size, batch_size)]
    assert torch.cat(list(even_batches(size, batch_size))).tolist() == list(range(size))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        torch.manual_seed(random.randrange(1000))
        return torch.cat(list(shuffled_batches(50, 8, seed=seed, epoch=epoch))).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match="batch_size must be >= 1, got 0"):
        list(batch_indices(10, 0))


class Sleeper(nn.Module):
    """A module that takes a known time and notes in which mode it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training or torch.is_grad_enabled())
        time.sleep(0.004)
        return x


def test_latency_is_the_time_of_a_pass_in_evaluation_mode() -> None:
    model = Sleeper().train()
    found = latency_ms(model, torch.zeros(1), repeats=5, warm_up=2)
    assert 4.0 <= found < 40.0
    assert model.modes == [False] * 7
    assert model.training


def test_one_worker_needs_no_process_group() -> None:
    model = nn.Linear(1, 1)
    assert unwrap(model) is model
    values = torch.tensor([1.0, 2.0])
    total = sum_over_ranks(values)
    assert torch.equal(total, values)
    assert total is not values


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the peak")
def test_the_peak_memory_rises_with_a_tensor_and_is_counted_anew() -> None:
    cpu = torch.device("cpu")
    memory = PeakMemory(cpu)
    before = memory.read_bytes()
    torch.ones(25_000_000).sum()  # 100 MB, gone again
    grown = memory.read_bytes()
    assert 90e6 < grown - before < 150e6
    assert PeakMemory(cpu).read_bytes() < grown - 90e6
