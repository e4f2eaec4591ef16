"""The transformer: what a position may look at, how the chain is cut, and that it can learn a text by heart."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from paretune.errors import SpecError
from paretune.train import seed_everything
from paretune.trainables.datasets import Text
from paretune.trainables.transformer import Transformer, next_byte_loss
from paretune.trainables.transformer.model import Rotary

ROOT = Path(__file__).resolve().parents[2]
SIZES: dict[str, Any] = {"width": 32, "depth": 2, "heads": 4, "context": 16}


def build(**changes: Any) -> Transformer:
    seed_everything(0)
    return Transformer(**{**SIZES, **changes})


def windows(count: int = 3, length: int = 16) -> Tensor:
    return torch.randint(256, (count, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("positions", ["rope", "learned"])
@torch.no_grad()
def test_a_later_byte_changes_no_earlier_logit(positions: str) -> None:
    model, bytes_BT = build(positions=positions), windows()
    before = model(bytes_BT)
    for t in range(16):
        changed = bytes_BT.clone()
        changed[:, t] = (changed[:, t] + 1) % 256
        after = model(changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.equal(after[:, t:], before[:, t:])


@pytest.mark.parametrize("positions", ["rope", "learned"])
@torch.no_grad()
def test_the_order_of_earlier_bytes_matters(positions: str) -> None:
    """Attention alone sees a set: without positions a swap of two earlier bytes would go unnoticed."""
    model, bytes_BT = build(depth=1, positions=positions), windows()
    swapped = bytes_BT[:, [1, 0, *range(2, 16)]]
    assert not torch.allclose(model(swapped)[:, -1], model(bytes_BT)[:, -1], atol=1e-6)


def test_a_rotated_product_depends_on_the_distance_alone() -> None:
    rotary = Rotary(8, 32)
    query, key = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(2)).expand(2, 1, 1, 32, 8)
    products_TT = (rotary(query) @ rotary(key).transpose(-1, -2))[0, 0]
    for distance in (-5, 0, 7):
        along = products_TT.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("positions", "dropout", "tied"), [("rope", 0.2, False), ("learned", 0.0, True)])
def test_the_stages_one_after_the_other_are_the_model(positions: str, dropout: float, tied: bool) -> None:
    """Bitwise, also the gradients; and no weight is in two stages, but for one that ties the first to the last."""
    model = build(positions=positions, dropout=dropout, tied=tied)
    stages, bytes_BT = model.stages(), windows(length=17)
    inputs, targets = bytes_BT[:, :-1], bytes_BT[:, 1:]
    assert len(stages) == 1 + SIZES["depth"] + 1
    gradients = []
    for forward in (model, lambda x: reduce(lambda x, stage: stage(x), stages, x)):
        seed_everything(3)
        model.zero_grad()
        logits = forward(inputs)
        next_byte_loss(logits, targets).backward()
        gradients.append([logits, *(p.grad for p in model.parameters())])
    assert all(torch.equal(left, right) for left, right in zip(*gradients, strict=True))
    owned = [id(parameter) for stage in stages for parameter in stage.parameters()]
    assert sorted(owned) == sorted([*map(id, model.parameters()), *[id(model.head.logits.weight)] * tied])


def test_tied_embeddings_save_a_matrix() -> None:
    free, tied = (sum(p.numel() for p in build(tied=tied).parameters()) for tied in (False, True))
    assert free - tied == 256 * SIZES["width"]


def test_the_number_of_parameters_follows_from_width_and_depth() -> None:
    width, depth = SIZES["width"], SIZES["depth"]
    expected = 2 * 256 * width + depth * (12 * width**2 + 4 * width) + 2 * width
    assert sum(p.numel() for p in build().parameters()) == expected
    assert sum(p.numel() for p in build(positions="learned").parameters()) == expected + SIZES["context"] * width


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, "heads must divide the width, got 5 heads and width 32"),
        ({"heads": 32}, "width / heads must be even"),
        ({"depth": 0}, "must be >= 1, got 32, 0, 4 and 16"),
        ({"positions": "sine"}, "rope or learned, got 'sine'"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build(**changes)


@pytest.mark.parametrize(("positions", "tied"), [("rope", False), ("learned", True)])
def test_it_learns_the_licence_by_heart(positions: str, tied: bool) -> None:
    """512 bytes: the loss falls from that of guessing, ln 256 = 5.55, below 0.1 nats per byte."""
    content = torch.frombuffer(bytearray((ROOT / "LICENSE").read_bytes()[:513]), dtype=torch.uint8)
    inputs, targets = Text(content, 64)[torch.arange(8)]
    model = build(width=64, depth=2, context=64, positions=positions, tied=tied)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss = next_byte_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(5.55, abs=0.3)
    assert losses[-1] < 0.1
