"""Layouts on one, two and four CPU workers (gloo, one group of processes for all): the same training everywhere."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy

from benchmarks.layouts import PIPELINES, SERVICES, Block, allowed, batches, difference, in_world, words
from benchmarks.layouts import model as residual
from benchmarks.layouts import optimizer as adamw
from paretune import train
from paretune.errors import CheckpointError, DivergedError
from paretune.train import Layout
from paretune.train.layout import Shard
from paretune.train.optimizers import OptimizerName

WORLDS = (4, 2, 1)  # one process reads what four have saved
SAVED = Layout(data=4, shard="fsdp", clip_norm=0.5)
RESUMED = [
    Layout(data=2, pipeline=2, shard="ddp", clip_norm=0.5, **PIPELINES["interleaved1f1b"]),
    Layout(data=2, pipeline=2, shard="fsdp", clip_norm=0.5, **PIPELINES["1f1b"]),
    Layout(data=4, shard="none", clip_norm=0.5),
]
SOME = [  # of each kind one; `make test-slow` and `python -m benchmarks.layouts` take all, and 20 steps
    Layout(pipeline=4, **PIPELINES["interleaved1f1b"]),
    Layout(data=2, pipeline=2, shard="none", **PIPELINES["zerobubble"]),
    Layout(data=2, pipeline=2, shard="ddp", **PIPELINES["gpipe"]),
    Layout(data=2, pipeline=2, shard="fsdp", **PIPELINES["1f1b"], **SERVICES),
    Layout(data=4, shard="ddp", **SERVICES),
    Layout(pipeline=2, **PIPELINES["1f1b"]),
    Layout(data=2, shard="none", **SERVICES),
    Layout(data=2, shard="fsdp"),
    Layout(**SERVICES),
]
RESHAPED = [
    Layout(data=2, pipeline=2, shard="fsdp", accumulate=3, **PIPELINES["1f1b"]),
    Layout(data=2, pipeline=2, shard="ddp", accumulate=3, **PIPELINES["interleaved1f1b"]),
]
LAYER_WISE: tuple[OptimizerName, ...] = ("lamb", "lars")
SHARDED = [Layout(data=4, shard="fsdp"), Layout(data=2, pipeline=2, shard="fsdp", **PIPELINES["1f1b"])]
ALL = [layout for workers in WORLDS for layout in allowed(workers)]


class Tied(nn.Module):
    """Tokens (B, L) -> scores of the mean token (B, 7), with one matrix for both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.block = nn.Embedding(7, 8), Block()
        self.output = nn.Linear(8, 7, bias=False)
        self.output.weight = self.embedding.weight
        self.mean = Mean()

    def stages(self) -> list[nn.Module]:
        return [self.embedding, self.mean, self.block, self.output]

    def forward(self, x_BL: Tensor) -> Tensor:
        scores: Tensor = self.output(self.block(self.mean(self.embedding(x_BL))))
        return scores


class Mean(nn.Module):
    def forward(self, x_BLW: Tensor) -> Tensor:
        return x_BLW.mean(dim=1)


def losses_of(run: train.Run, first: int, last: int) -> list[float]:
    k, n = run.share
    return [run.step((x[k::n], y[k::n])) for x, y in batches(last)[first:]]


def prepared(layout: Layout, model: nn.Module | None = None) -> train.Run:
    model = model or residual()
    example = batches(1)[0][0].to(next(model.parameters()).dtype)
    return train.prepare(model, adamw, layout, loss=cross_entropy, example=example)


def tied(workers: int) -> list[float]:
    layout = Layout() if workers == 1 else Layout(data=2, pipeline=2, shard="none", **PIPELINES["1f1b"])
    draw = torch.Generator().manual_seed(3)
    x, y = torch.randint(7, (32, 5), generator=draw), torch.randint(7, (32,), generator=draw)
    torch.manual_seed(0)
    with train.prepare(Tied().double(), adamw, layout, loss=cross_entropy, cuts=[0, 2][: layout.stages]) as run:
        k, n = run.share
        return [run.step((x[k::n], y[k::n])) for _ in range(5)]


def uneven(workers: int) -> list[float]:
    """Unequal shares of a batch, and a window of accumulation that ends early."""
    x, y = batches(1)[0]
    ends = [7] if workers == 1 else [5, 7]
    with prepared(Layout(data=workers, accumulate=2, clip_norm=0.1)) as run:
        k, _ = run.share
        mine = slice(0 if k == 0 else ends[k - 1], ends[k])
        losses = []
        for _ in range(3):
            losses += [run.step((x[mine], y[mine])) for _ in range(3)]
            run.flush()
        return losses


def reshaped(layout: Layout) -> list[float]:
    """Batches of two sizes in each window of accumulation."""
    with prepared(layout) as run:
        k, n = run.share
        sizes = [32, 16, 32]
        return [run.step((x[:size][k::n], y[:size][k::n])) for (x, y), size in zip(batches(6), 2 * sizes, strict=True)]


def layer_wise(name: OptimizerName, layout: Layout) -> list[float]:
    """Losses under an optimizer that goes by the norm of each matrix."""

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = train.parameter_groups(parameters)
        return train.make_optimizer(name, groups, lr={"lamb": 0.02, "lars": 1.0}[name], weight_decay=0.1)

    with train.prepare(residual(), optimizer, layout, loss=cross_entropy, example=batches(1)[0][0]) as run:
        return losses_of(run, 0, 4)


def diverging(layout: Layout) -> tuple[str, int]:
    """Why a run whose loss is not finite on one worker alone ends, and after how many updates."""
    with prepared(layout) as run:
        losses_of(run, 0, 5)
        x, y = batches(1)[0]
        with pytest.raises(DivergedError) as caught:
            run.step((x * (math.nan if dist.get_rank() == 1 else 1.0), y))
    return str(caught.value), run.updates


class Sleeping(nn.Module):
    """Takes its time on one worker."""

    def forward(self, x_BW: Tensor) -> Tensor:
        time.sleep(0.04 * (dist.get_rank() == 1))
        return x_BW


def own_times(shard: Shard) -> tuple[list[float], float]:
    """Seconds of the quickest of eight steps: by worker those of its own, and in all."""
    model, found = nn.Sequential(*residual(), Sleeping()), []
    with train.prepare(model, adamw, Layout(data=2, shard=shard), loss=cross_entropy) as run:
        losses_of(run, 0, 1)
        for number in range(8):
            run.restart_stats()
            losses_of(run, number, number + 1)
            found.append((run.stats.rank_step_s, run.stats.step_s))
    return [min(own_s[rank] for own_s, _ in found) for rank in (0, 1)], min(step_s for _, step_s in found)


def scaled(workers: int) -> dict[str, Any]:
    """fp16: the first loss scale overflows, and all stages leave the same updates out."""
    layout = Layout(pipeline=workers, precision="fp16", **(PIPELINES["1f1b"] if workers > 1 else {}))
    with prepared(layout, residual().float()) as run:
        run.loss_scale.value = 2.0**24
        k, n = run.share
        losses = [run.step((x[k::n].float(), y[k::n])) for x, y in batches()]
        return {"losses": losses, "scale": run.loss_scale.value, "updates": run.updates}


def compressed() -> dict[str, list[float]]:
    found = {}
    for kind in ("fp16", "powersgd"):
        with prepared(Layout(data=4, compression=kind), residual().float()) as run:  # type: ignore[arg-type]
            k, n = run.share
            found[kind] = [run.step((x[k::n].float(), y[k::n])) for x, y in batches(1) * 15]
    return found


def saved(folder: Path) -> list[float]:
    """Four sharded workers, with dropout behind the last layer: two checkpoints, then three more losses.

    The second is written while these are trained.
    """
    with prepared(SAVED, with_dropout()) as run:
        losses_of(run, 0, 3)
        run.save(folder / "step-3", {"epoch": 3})
        losses_of(run, 3, 6)
        run.save(folder / "step-6", {"epoch": 6}, wait=False)
        return losses_of(run, 6, 9)


def with_dropout() -> nn.Sequential:
    return nn.Sequential(*residual(), nn.Dropout(0.3))


def continued(folder: Path, layout: Layout, *, dropout: bool) -> list[float]:
    with prepared(layout, with_dropout() if dropout else nn.Sequential(*residual(5), nn.Identity())) as run:
        assert run.restore(folder / "step-6") == {"epoch": 6}
        return losses_of(run, 6, 9)


def unreached(folder: Path) -> str:
    """Each worker with a disk of its own: what they are told, and that nothing is left."""
    own = folder / f"disk-{dist.get_rank()}"
    own.mkdir(parents=True)
    with prepared(Layout(data=4, shard="fsdp")) as run:
        run.save(own / "one", wait=False)
        with pytest.raises(CheckpointError) as caught:
            run.wait()
    assert not list(own.iterdir())
    return str(caught.value)


def damaged(folder: Path) -> dict[str, Any]:
    """One worker's file cut short: all refuse it, nothing has changed, the one before is taken."""
    path = folder / "step-6" / "__1_0.distcp"
    if dist.get_rank() == 0:
        path.write_bytes(path.read_bytes()[:-10])
    dist.barrier()
    with prepared(Layout(data=4), with_dropout()) as run:
        before = run.evaluate(batches(1)[0])
        with pytest.raises(CheckpointError, match="checksum differs"):
            run.restore(folder / "step-6")
        unchanged = run.evaluate(batches(1)[0]) == before
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *args, **kwargs: None)
            found = run.restore_latest(folder)
    assert found is not None
    return {"taken": found[0].name, "extra": found[1], "unchanged": unchanged}


def one_after_another(runs: int) -> list[list[float]]:
    """Runs of three layouts in turn, in the same processes; two losses of each."""
    layouts = [Layout(data=2, pipeline=2, shard=shard, **PIPELINES["1f1b"]) for shard in ("none", "fsdp", "ddp")]
    ends = []
    for number in range(runs):
        with prepared(layouts[number % 3]) as run:
            ends.append(losses_of(run, 0, 2))
    return ends


def worker(rank: int, folder: str) -> None:
    """What the tests look at, on one worker after the other's number of workers."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"differences": {}}
    checkpoints = Path(folder) / "checkpoints"
    for workers in WORLDS:
        if not in_world(rank, workers, Path(folder) / f"world-{workers}"):
            continue
        for layout in (layout for layout in SOME if layout.workers == workers):
            apart = difference(layout, 4)
            found["differences"][words(layout)] = (apart.gradient, apart.loss)
        if workers == 4:
            found |= {"tied-4": tied(4), "compressed": compressed(), "straight": saved(checkpoints)}
            found["same"] = continued(checkpoints, SAVED, dropout=True)
            found["resumed"] = [continued(checkpoints, layout, dropout=False) for layout in RESUMED]
            if rank == 0:
                shutil.copytree(checkpoints, checkpoints.with_name("whole"))
            found |= {"damaged": damaged(checkpoints), "unreached": unreached(checkpoints.with_name("disks"))}
            found["reshaped-4"] = [reshaped(layout) for layout in RESHAPED]
            found["layer-wise-4"] = [layer_wise(name, layout) for name in LAYER_WISE for layout in SHARDED]
        if workers == 1:
            found["tied-1"] = tied(1)
            found["reshaped-1"] = reshaped(Layout(accumulate=3))
            found["layer-wise-1"] = [layer_wise(name, Layout()) for name in LAYER_WISE]
            found["resumed-alone"] = continued(checkpoints.with_name("whole"), Layout(clip_norm=0.5), dropout=False)
        if workers == 2:
            found["diverged"] = diverging(Layout(data=2))
            found |= {"own-ddp": own_times("ddp"), "own-fsdp": own_times("fsdp")}
        if workers <= 2:
            found |= {f"uneven-{workers}": uneven(workers), f"scaled-{workers}": scaled(workers)}
        if workers > 1:
            found[f"left-{workers}"] = groups_left()
            dist.destroy_process_group()
    torch.save(found, Path(folder) / f"worker-{rank}.pt")


def groups_left() -> int:
    """Process groups beside the world's."""
    dist.barrier()
    return len(dist.distributed_c10d._world.pg_map) - 1


def long_worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"differences": {}}
    for workers in WORLDS:
        if in_world(rank, workers, Path(folder) / f"world-{workers}"):
            for layout in allowed(workers):
                apart = difference(layout)
                found["differences"][words(layout)] = (apart.gradient, apart.loss)
            if workers == 4:
                found["first"], before = one_after_another(10), resident_bytes()
                found["turns"] = one_after_another(90)
                found["grown"], found["left"] = resident_bytes() - before, groups_left()
            if workers > 1:
                dist.destroy_process_group()
    torch.save(found, Path(folder) / f"worker-{rank}.pt")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the four workers found."""
    folder = tmp_path_factory.mktemp("layouts")
    spawn(worker, args=(str(folder),), nprocs=4)
    return [torch.load(folder / f"worker-{rank}.pt", weights_only=True) for rank in range(4)]


@pytest.mark.parametrize("layout", SOME, ids=words)
def test_gradients_and_losses_are_those_of_one_process(layout: Layout, workers: list[dict[str, Any]]) -> None:
    for found in workers[: layout.workers]:
        assert max(found["differences"][words(layout)]) < 1e-10


def test_every_worker_returns_the_same_losses(workers: list[dict[str, Any]]) -> None:
    for key in ("straight", "same", "compressed", "tied-4", "resumed"):
        assert all(found[key] == workers[0][key] for found in workers), key


def test_weights_shared_by_two_stages_learn_as_in_one_process(workers: list[dict[str, Any]]) -> None:
    assert workers[0]["tied-4"] == pytest.approx(workers[0]["tied-1"], abs=1e-12)


def test_unequal_shares_and_windows_that_end_early_are_weighted_by_samples(workers: list[dict[str, Any]]) -> None:
    assert workers[0]["uneven-2"] == pytest.approx(workers[0]["uneven-1"], abs=1e-12)


@pytest.mark.parametrize("number", range(len(RESHAPED)), ids=[words(layout) for layout in RESHAPED])
def test_a_batch_of_another_size_loses_no_gradient_of_its_window(number: int, workers: list[dict[str, Any]]) -> None:
    assert workers[0]["reshaped-4"][number] == pytest.approx(workers[0]["reshaped-1"], abs=1e-12)


def test_layer_wise_rates_go_by_the_norms_of_whole_matrices(workers: list[dict[str, Any]]) -> None:
    alone = [losses for losses in workers[0]["layer-wise-1"] for _ in SHARDED]
    for found, expected in zip(workers[0]["layer-wise-4"], alone, strict=True):
        assert found == pytest.approx(expected, abs=1e-12)


def test_all_workers_end_a_diverged_run_before_its_update(workers: list[dict[str, Any]]) -> None:
    for found in workers[:2]:
        assert found["diverged"] == ("the loss is nan at step 6", 5)


@pytest.mark.parametrize("shard", ["ddp", "fsdp"])
def test_the_worker_that_is_slow_is_told_from_the_one_that_waits(shard: str, workers: list[dict[str, Any]]) -> None:
    """A step takes both equally long, also the gathering of shards in the forward pass."""
    own_s, step_s = workers[0][f"own-{shard}"]
    assert own_s[0] < 0.04 <= min(own_s[1], step_s)
    assert workers[1][f"own-{shard}"][0] == own_s


def test_stages_leave_out_the_same_updates_when_fp16_overflows(workers: list[dict[str, Any]]) -> None:
    alone, piped = workers[0]["scaled-1"], workers[0]["scaled-2"]
    assert piped == workers[1]["scaled-2"]
    for found in (alone, piped):
        skipped = len(batches()) - found["updates"]
        assert 0 < skipped < len(batches())
        assert found["scale"] == 2.0 ** (24 - skipped)


def test_compressed_gradients_still_train(workers: list[dict[str, Any]]) -> None:
    for losses in workers[0]["compressed"].values():
        assert losses[-1] < losses[0]


def test_a_run_goes_on_bit_for_bit_under_the_same_layout(workers: list[dict[str, Any]]) -> None:
    """With dropout: every worker has its random state back."""
    for found in workers:
        assert found["same"] == found["straight"]


@pytest.mark.parametrize("number", range(len(RESUMED)), ids=[words(layout) for layout in RESUMED])
def test_a_checkpoint_is_read_under_another_layout(number: int, workers: list[dict[str, Any]]) -> None:
    assert workers[0]["resumed"][number] == pytest.approx(workers[0]["resumed-alone"], abs=1e-12)


def test_a_damaged_checkpoint_is_refused_by_all_and_the_one_before_taken(workers: list[dict[str, Any]]) -> None:
    for found in workers:
        assert found["damaged"] == {"taken": "step-3", "extra": {"epoch": 3}, "unchanged": True}


def test_workers_that_do_not_reach_the_same_folder_are_told(workers: list[dict[str, Any]]) -> None:
    for found in workers:
        assert "must be one folder for all workers" in found["unreached"]
        assert "files-1.json: must be there" in found["unreached"]
        assert "hint: a path on a disk that all of them share" in found["unreached"]


def test_no_process_group_is_left(workers: list[dict[str, Any]]) -> None:
    assert [found["left-4"] for found in workers] == [0] * 4
    assert [found["left-2"] for found in workers[:2]] == [0] * 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_layouts_for_twenty_steps_and_a_hundred_runs_in_the_same_processes(tmp_path: Path) -> None:
    spawn(long_worker, args=(str(tmp_path),), nprocs=4)
    for rank in range(4):
        found = torch.load(tmp_path / f"worker-{rank}.pt", weights_only=True)
        for layout in (layout for layout in ALL if rank < layout.workers):
            assert max(found["differences"][words(layout)]) < 1e-10, words(layout)
        assert found["left"] == 0
        assert all(ends == found["first"][number % 3] for number, ends in enumerate(found["turns"]))
        assert found["grown"] < 90 * 2**20, "less than a megabyte for each of the last ninety runs"
