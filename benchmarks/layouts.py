"""Every allowed layout against one plain process: largest differences of one step's gradients and of 20 losses.

    python -m benchmarks.layouts            # writes docs/layouts.md

A residual network in float64 under AdamW, on 1, 2 and 4 CPU workers (gloo). Layouts that are refused are run as well,
past the check that refuses them, to see whether they still have to be.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy

from paretune import train
from paretune.train import Layout

ROOT = Path(__file__).parents[1]
STEPS, SAMPLES, FEATURES, CLASSES, WIDTH = 20, 32, 6, 3, 8
PIPELINES: dict[str, dict[str, Any]] = {
    "gpipe": {"schedule": "gpipe", "microbatches": 4},
    "1f1b": {"schedule": "1f1b", "microbatches": 4},
    "interleaved1f1b": {"schedule": "interleaved1f1b", "stages_per_worker": 2, "microbatches": 4},
    "zerobubble": {"schedule": "zerobubble", "stages_per_worker": 2, "microbatches": 4},
}
SERVICES: dict[str, Any] = {"accumulate": 3, "clip_norm": 0.2, "activation_checkpointing": True}


class Block(nn.Module):
    """(B, WIDTH) -> (B, WIDTH), residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x_BW: Tensor) -> Tensor:
        return x_BW + torch.tanh(self.up(self.norm(x_BW))) @ self.down.weight.T + self.down.bias


def model(seed: int = 0) -> nn.Sequential:
    """Eight layers in float64."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, WIDTH), *[Block() for _ in range(6)], nn.Linear(WIDTH, CLASSES)).double()


def batches(steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64),
            torch.randint(CLASSES, (SAMPLES,), generator=draw),
        )
        for _ in range(steps)
    ]


def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-2)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gave."""

    losses: list[float]
    gradients: dict[str, Tensor]
    """Of the first update, as the optimizer got them."""


def by_hand(layout: Layout, steps: int) -> Trained:
    """Plain PyTorch in one process, with the layout's accumulation and clipping."""
    net = model()
    update = optimizer(list(net.parameters()))
    losses: list[float] = []
    first: dict[str, Tensor] = {}
    for number, (x, y) in enumerate(batches(steps), start=1):
        loss = cross_entropy(net(x), y)
        losses.append(loss.item())
        loss.backward()
        window = number % layout.accumulate or layout.accumulate
        if window == layout.accumulate or number == steps:
            for parameter in net.parameters():
                assert parameter.grad is not None
                parameter.grad /= window
            if layout.clip_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), layout.clip_norm)
            first = first or {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
            update.step()
            update.zero_grad()
    with torch.no_grad():
        losses.append(cross_entropy(net(x), y).item())
    return Trained(losses, first)


def by_layout(layout: Layout, steps: int) -> Trained:
    """The same through `train.prepare`, on all workers, each beginning with other weights than the first."""
    seed = dist.get_rank() if layout.workers > 1 else 0
    with train.prepare(model(seed), optimizer, layout, loss=cross_entropy, example=batches(1)[0][0]) as run:
        first: dict[str, Tensor] = {}

        def keep(*args: Any) -> None:
            if not first:
                first.update({name: _whole(p.grad) for name, p in run.parts.parameters.items()})

        run.optimizer.register_step_pre_hook(keep)
        k, n = run.share
        losses = [run.step((x[k::n], y[k::n])) for x, y in batches(steps)]
        run.flush()
        x, y = batches(steps)[-1]
        losses.append(run.evaluate((x[k::n], y[k::n])))
    return Trained(losses, _gathered(first, layout))


def _whole(grad: Tensor | None) -> Tensor:
    if grad is None:
        return torch.tensor(torch.nan)
    return grad.full_tensor() if isinstance(grad, DTensor) else grad.clone()


def _gathered(first: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    found: list[dict[str, Tensor]] = [first]
    if layout.workers > 1:
        found = [{}] * layout.workers
        dist.all_gather_object(found, first)
    return {name: grad for each in found for name, grad in each.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest absolute difference from one plain process."""

    gradient: float
    loss: float


def difference(layout: Layout, steps: int = STEPS) -> Difference:
    """Train both ways; the same on all workers."""
    expected, found = by_hand(layout, steps), by_layout(layout, steps)
    assert set(found.gradients) == set(expected.gradients)
    gradient = max(float((found.gradients[name] - grad).abs().max()) for name, grad in expected.gradients.items())
    return Difference(
        float("inf") if gradient != gradient else gradient,
        max(abs(a - b) for a, b in zip(found.losses, expected.losses, strict=True)),
    )


def allowed(workers: int) -> Iterator[Layout]:
    """Every combination of data, pipeline, schedule and shard for so many workers, and some with all services."""
    for data in (n for n in (1, 2, 4) if workers % n == 0):
        for shard in ("none", "ddp", "fsdp") if data > 1 else ("ddp",):
            if data == workers:
                yield Layout(data=data, shard=shard)
                yield Layout(data=data, shard=shard, **SERVICES)
                continue
            for name, pipeline in PIPELINES.items():
                if name == "zerobubble" and data > 1 and shard != "none":
                    continue
                yield Layout(data=data, pipeline=workers // data, shard=shard, **pipeline)
            if data > 1:
                yield Layout(data=data, pipeline=workers // data, shard=shard, **PIPELINES["1f1b"], **SERVICES)


def refused() -> Iterator[Layout]:
    """Layouts whose constructor raises."""
    for shard in ("ddp", "fsdp"):
        layout = Layout(data=2, pipeline=2, shard="none", **PIPELINES["zerobubble"])
        object.__setattr__(layout, "shard", shard)
        yield layout


def in_world(rank: int, workers: int, rendezvous: Path) -> bool:
    """Join a process group of so many workers, if this one is of them."""
    if rank >= workers:
        return False
    if workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=workers)
    return True


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    rows = []
    for workers in (1, 2, 4):
        if in_world(rank, workers, Path(folder) / f"world-{workers}"):
            layouts = [*allowed(workers), *(refused() if workers == 4 else ())]
            rows += [(layout, difference(layout)) for layout in layouts]
            if workers > 1:
                dist.destroy_process_group()
    if rank == 0:
        torch.save([(words(layout), vars_of(found)) for layout, found in rows], Path(folder) / "rows.pt")


def words(layout: Layout) -> str:
    """The layout as one would write it."""
    default = Layout()
    changed = {f.name: getattr(layout, f.name) for f in fields(Layout)}
    said = [f"{k}={v!r}" for k, v in changed.items() if v != getattr(default, k) or (k == "shard" and layout.data > 1)]
    return f"Layout({', '.join(said)})"


def vars_of(found: Difference) -> tuple[float, float]:
    return found.gradient, found.loss


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, args=(folder,), nprocs=4)
        rows = torch.load(Path(folder) / "rows.pt", weights_only=True)
    lines = [f"| `{layout}` | {gradient:.1e} | {loss:.1e} |" for layout, (gradient, loss) in rows]
    head = ["| layout | gradients | losses |", "| --- | ---: | ---: |"]
    path = ROOT / "docs" / "layouts.md"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- measured -->\n")
    after = rest.partition("<!-- end -->\n")[2]
    where = f"torch {torch.__version__}, {platform.machine()}, by `python -m benchmarks.layouts`:\n"
    split = len(lines) - len(list(refused()))
    table = [where, *head, *lines[:split], "", "Refused, and run past the check that refuses them:", "", *head]
    body = "\n".join([*table, *lines[split:], ""])
    path.write_text(f"{before}<!-- measured -->\n{body}<!-- end -->\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
