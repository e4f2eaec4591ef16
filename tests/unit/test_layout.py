"""Layouts and runs in one process; tests/numerical/test_layouts.py has those on many workers."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException, spawn
from torch.nn.functional import mse_loss

from paretune import train
from paretune.errors import CheckpointError, SpecError
from paretune.train import Layout, sharded
from paretune.train.layers import check_cuts, cut, layers_of, measure
from paretune.train.open_runs import close_runs
from paretune.train.precision import LossScale


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def batch(size: int = 12) -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 1, 3 * size).view(size, 3)
    return x, x.sum(dim=1, keepdim=True)


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.05)


def prepared(**layout: Any) -> train.Run:
    return train.prepare(net(), adamw, Layout(**layout), loss=mse_loss)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"data": 0}, "layout.data: must be an integer >= 1, got 0"),
        ({"data": True}, "layout.data: must be an integer"),
        ({"schedule": "1f1bb"}, "hint: did you mean '1f1b'"),
        ({"clip_norm": 0.0}, "layout.clip_norm: must be > 0"),
        ({"microbatches": 4}, "means something only in a pipeline"),
        ({"pipeline": 4, "microbatches": 2}, "1f1b needs at least as many as pipeline"),
        ({"pipeline": 2, "microbatches": 4, "stages_per_worker": 2}, "hint: stages_per_worker=1"),
        ({"pipeline": 2, "microbatches": 4, "schedule": "interleaved1f1b"}, "needs at least 2"),
        (
            {"pipeline": 2, "microbatches": 5, "schedule": "interleaved1f1b", "stages_per_worker": 2},
            "hint: a multiple of pipeline, e.g. 4",
        ),
        (
            {"pipeline": 2, "data": 2, "microbatches": 4, "schedule": "zerobubble", "stages_per_worker": 2},
            "hint: shard='none'",
        ),
        ({"data": 2, "shard": "fsdp", "compression": "fp16"}, "works on DDP's exchange"),
        ({"data": 2, "pipeline": 2, "microbatches": 2, "compression": "powersgd"}, "works on DDP's exchange"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(layout: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        Layout(**layout)
    assert reason in str(caught.value)


def test_a_layout_for_other_workers_is_refused() -> None:
    with pytest.raises(SpecError, match="must be the number of workers, 1, got 2 x 1 = 2"):
        prepared(data=2)


def test_what_a_worker_holds_and_what_is_left_of_its_speed() -> None:
    """By hand: of 4 workers' pipeline the first one keeps 4 of 16 pieces, of a quarter of the layers."""
    piped = {"data": 2, "pipeline": 4, "microbatches": 16}
    assert Layout(**piped).activations_share() == 4 / 16 / 4 / 2
    assert Layout(**piped, schedule="gpipe").activations_share() == 1 / 4 / 2
    looped = Layout(**piped, schedule="interleaved1f1b", stages_per_worker=2)
    assert looped.activations_share() == 4 * (1 + 3 / 8) / 16 / 4 / 2
    assert Layout(data=2, precision="bf16").activations_share() == 1 / 4
    assert Layout(activation_checkpointing=True).activations_share() < 0.2
    assert [Layout(**piped, shard=shard).states_share() for shard in ("ddp", "fsdp")] == [1 / 4, 1 / 8]
    assert Layout(**piped).efficiency() == 16 / 19
    assert Layout(activation_checkpointing=True).efficiency() == 3 / 4


def test_a_layout_in_a_few_words() -> None:
    assert Layout().summary() == "data 1 x pipeline 1"
    everything = Layout(
        data=2, pipeline=2, microbatches=4, schedule="interleaved1f1b", stages_per_worker=2, precision="bf16",
        accumulate=3, shard="none", activation_checkpointing=True,
    )  # fmt: skip
    assert everything.summary() == (
        "data 2 x pipeline 2, interleaved1f1b, 4 microbatches, 2 stages per worker, one all-reduce, bf16, "
        "3 steps accumulated, checkpointing"
    )
    assert Layout(data=4, compression="fp16").summary() == "data 4 x pipeline 1, ddp, fp16 compression"


def test_the_bubble_is_the_formula() -> None:
    assert Layout().bubble() == 0
    assert Layout(pipeline=4, microbatches=8).bubble() == 3 / 11
    assert Layout(pipeline=4, microbatches=8, schedule="interleaved1f1b", stages_per_worker=2).bubble() == 3 / 19


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.data())
def test_cuts_balance_as_well_as_any(costs: list[float], data: st.DataObject) -> None:
    stages = data.draw(st.integers(1, len(costs)))

    def largest(cuts: list[int]) -> float:
        return max(sum(costs[a:b]) for a, b in itertools.pairwise([*cuts, len(costs)]))

    found = cut(costs, stages)
    assert check_cuts(found, layers=len(costs), stages=stages) == found
    every = ([0, *rest] for rest in itertools.combinations(range(1, len(costs)), stages - 1))
    assert largest(found) == pytest.approx(min(map(largest, every)))


@pytest.mark.parametrize("cuts", [[], [1, 2], [0, 0], [0, 5], [0, 1, 2]])
def test_cuts_that_are_none_are_refused(cuts: list[int]) -> None:
    with pytest.raises(SpecError, match="cuts: must be the first layer"):
        check_cuts(cuts, layers=5, stages=2)


def test_measuring_leaves_no_trace() -> None:
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    costs_s = measure(layers_of(model), batch()[0])
    assert len(costs_s) == 5
    assert min(costs_s) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_does_not_name_its_layers_is_refused() -> None:
    with pytest.raises(SpecError, match=r"hint: give it a method stages\(\)"):
        layers_of(nn.Linear(1, 1))


def test_one_worker_trains_as_by_hand() -> None:
    model, (x, y) = net(), batch()
    update, expected = adamw(list(model.parameters())), []
    state = torch.get_rng_state()
    for _ in range(4):
        update.zero_grad()
        loss = mse_loss(model(x), y)
        loss.backward()
        update.step()
        expected.append(loss.item())
    with prepared() as run:
        torch.set_rng_state(state)
        assert [run.step((x, y)) for _ in range(4)] == expected
        assert run.updates == 4
        stats = run.stats
    assert stats.steps == 3, "the first step is left out"
    assert stats.samples_per_s == pytest.approx(12 / stats.step_s)
    assert stats.peak_memory_bytes > 2**20
    assert (stats.bubble, stats.communication_s, stats.tokens_per_s) == (None, None, None)


def test_evaluation_moves_no_statistics_and_keeps_the_mode() -> None:
    with prepared() as run:
        run.step(batch())
        before = {name: buffer.clone() for name, buffer in run.parts.buffers.items()}
        assert run.evaluate(batch()) == run.evaluate(batch()), "without dropout"
        assert run.evaluate(batch(), lambda out, y: (out - y).abs().mean()) > 0
        assert all(torch.equal(buffer, before[name]) for name, buffer in run.parts.buffers.items())
        assert run.parts.modules[0].training


def test_gradients_that_wait_are_flushed_once_and_not_saved(tmp_path: Path) -> None:
    with prepared(accumulate=4) as run:
        run.step(batch())
        assert (run.pending, run.updates) == (1, 0)
        with pytest.raises(SpecError, match=r"hint: run.flush\(\) first"):
            run.save(tmp_path / "early")
        run.flush()
        run.flush()
        assert (run.pending, run.updates) == (0, 1)


def test_schedules_go_by_updates() -> None:
    def halve(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    with train.prepare(net(), adamw, Layout(accumulate=2), loss=mse_loss, scheduler_fn=halve) as run:
        for _ in range(4):
            run.step(batch())
        assert run.optimizer.param_groups[0]["lr"] == 0.05 / 4


def test_activations_computed_again_give_the_same_and_leave_the_model_alone() -> None:
    losses = []
    for again in (False, True):
        with prepared(activation_checkpointing=again) as run:
            torch.manual_seed(1)  # the masks of dropout
            losses.append([run.step(batch()) for _ in range(3)])
            layers = layers_of(run.parts.modules[0])
        assert all("forward" not in vars(layer) for layer in layers)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_with_weights_in_full(precision: str) -> None:
    with prepared(precision=precision) as run:
        losses = [run.step(batch()) for _ in range(30)]
        assert losses[-1] < losses[0] / 2
        assert all(parameter.dtype == torch.float32 for parameter in run.parts.parameters.values())


def test_a_loss_scale_halves_at_once_and_doubles_after_two_thousand() -> None:
    scale = LossScale("fp16")
    assert not scale.judge(finite=False)
    assert scale.value == 2**15
    assert all(scale.judge(finite=True) for _ in range(2000))
    assert scale.value == 2**16
    assert LossScale("bf16").judge(finite=False), "bf16 is not scaled: what is not finite is for others to see"


def test_a_checkpoint_brings_everything_back(tmp_path: Path) -> None:
    with prepared(precision="fp16") as run:
        for _ in range(3):
            run.step(batch())
        run.save(tmp_path / "three", {"epoch": 3})
        updates = run.updates
        expected = [run.step(batch()) for _ in range(3)]
        with pytest.raises(CheckpointError, match="must not be there yet"):
            run.save(tmp_path / "three")
    with prepared(precision="fp16") as run:
        torch.manual_seed(99)
        assert run.restore(tmp_path / "three") == {"epoch": 3}
        assert run.updates == updates
        assert [run.step(batch()) for _ in range(3)] == expected


class Held:
    """Holds the writing of checkpoints where the tensors are written and the list of files is not."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.there, self.go_on = threading.Event(), threading.Event()
        inner = sharded.write_checksums

        def hold(*args: Any, **kwargs: Any) -> None:
            self.there.set()
            assert self.go_on.wait(30)
            inner(*args, **kwargs)

        patch.setattr(sharded, "write_checksums", hold)


def test_a_checkpoint_in_the_background_is_what_the_run_was_at_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, though the run trains on before a byte of it can be complete."""
    epoch = torch.ones(3)
    with prepared() as run:
        run.step(batch())
        run.save(tmp_path / "one")
        held = Held(monkeypatch)
        run.save(tmp_path / "two", {"epoch": epoch}, wait=False)
        epoch.zero_()
        expected = [run.step(batch()) for _ in range(3)]
        assert held.there.wait(30)
        shutil.copytree(tmp_path, tmp_path / "killed", ignore=shutil.ignore_patterns("killed"))
        held.go_on.set()
        run.wait()
        run.wait()
    with prepared() as run:
        extra = run.restore(tmp_path / "two")
        assert torch.equal(extra["epoch"], torch.ones(3))
        assert [run.step(batch()) for _ in range(3)] == expected
        found = run.restore_latest(tmp_path / "killed")
    assert found == (tmp_path / "killed" / "one", {}), "what a process killed in between would have left"


def test_closing_waits_for_the_checkpoint_and_the_next_save_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    threading.Timer(0.1, held.go_on.set).start()
    with prepared() as run:
        for name in ("one", "two"):
            run.save(tmp_path / name, wait=False)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@pytest.mark.parametrize("joins", [train.Run.wait, train.Run.close, lambda run: run.save("another")])
def test_a_checkpoint_that_failed_in_the_background_is_an_error_at_the_next_call(
    joins: Callable[[train.Run], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sharded, "write_checksums", full)
    with prepared() as run:
        run.save(tmp_path / "one", wait=False)
        with pytest.raises(CheckpointError, match=r"one: OSError: .*No space left"):
            joins(run)
    assert list(tmp_path.iterdir()) == []


def test_a_loops_own_error_comes_before_that_of_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "write_checksums", lambda *args, **kwargs: 1 / 0)

    def loop() -> None:
        with prepared() as run:
            run.save(tmp_path / "one", wait=False)
            raise ValueError("of the loop")

    with pytest.raises(ValueError, match="of the loop") as caught:
        loop()
    assert "division by zero" in caught.value.__notes__[0]


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        spawn(die_saving, args=(str(tmp_path),))
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two.part"}
    with prepared() as run:
        assert run.restore_latest(tmp_path) == (tmp_path / "one", {"step": 1})
        run.save(tmp_path / "two")


def die_saving(rank: int, folder: str) -> None:
    with prepared() as run:
        run.save(Path(folder) / "one", {"step": 1})
        sharded.write_checksums = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        run.save(Path(folder) / "two", {"step": 2}, wait=False)
        while True:
            run.step(batch())


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp", "state.pt", "files-0.json"])
@pytest.mark.parametrize("damage", ["gone", "short", "changed"])
def test_a_damaged_checkpoint_is_refused(name: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "one" / name
    with prepared() as run:
        run.save(tmp_path / "one")
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        elif damage == "short":
            path.write_bytes(content[:-1])
        else:
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(CheckpointError):
            run.restore(tmp_path / "one")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    with prepared() as run:
        run.save(tmp_path / "one")
    for other, reason in (
        (nn.Sequential(nn.Linear(3, 9)), "hint: it is of a model of another size"),
        (nn.ModuleDict({"a": nn.Linear(3, 8)}), "hint: it is of another model"),
    ):
        with (
            train.prepare(other, adamw, loss=mse_loss) as run,
            pytest.raises(CheckpointError) as caught,
        ):
            run.restore(tmp_path / "one")
        assert reason in str(caught.value)


def test_the_last_complete_checkpoint_is_found(tmp_path: Path) -> None:
    with prepared() as run:
        assert run.restore_latest(tmp_path) is None
        for step in (1, 2):
            run.step(batch())
            run.save(tmp_path / f"step-{step}", {"step": step})
        (tmp_path / "step-2" / "state.pt").write_bytes(b"")
        (tmp_path / "step-3.part").mkdir()  # of a process that was killed while it saved
        with pytest.warns(UserWarning, match="checkpoint step-2 is left out"):
            assert run.restore_latest(tmp_path) == (tmp_path / "step-1", {"step": 1})


def test_a_run_that_is_left_open_is_closed() -> None:
    model = net()
    run = train.prepare(model, adamw, Layout(activation_checkpointing=True), loss=mse_loss)
    close_runs()
    assert "forward" not in vars(model[0])
    run.close()
