"""A decoder-only transformer over bytes, on one device.

Vaswani et al., "Attention Is All You Need", 2017, in its usual present form: the norm stands before each sublayer
(Xiong et al., arXiv:2002.04745), positions enter as rotations of queries and keys (Su et al., arXiv:2104.09864) or as a
learned table, and every position predicts the byte after it.

The model is a chain: an embedding, `depth` blocks, a head. One tensor passes from each link to the next, so the chain
can be cut between any two of them, which is all that pipeline parallelism asks for (`Transformer.stages`).

Shape legend: B windows, T positions, D width, H heads, K width of a head (D / H), V byte values (256).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from paretune.errors import SpecError

Positions = Literal["rope", "learned"]

BYTES = 256
_INITIAL_STD = 0.02  # of all weight matrices, GPT-2's
_ROPE_BASE = 10_000.0  # the slowest of the rotations turns once in about 60,000 positions, as in the paper


class Transformer(nn.Module):
    """Logits of the byte after each position: (B, T) int64 -> (B, T, V), for T up to `context`.

    `tied` uses the embedding's matrix for the head as well, which saves V x D weights.
    Raises SpecError when the heads do not divide the width, or positions cannot be rotated in heads of odd width.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        context: int,
        dropout: float = 0.0,
        positions: Positions = "rope",
        tied: bool = False,
    ) -> None:
        super().__init__()
        _check(width=width, depth=depth, heads=heads, context=context, positions=positions)
        rotate = positions == "rope"
        self.tied = tied
        self.embedding = Embedding(width, context=None if rotate else context, dropout=dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, context=context if rotate else None, dropout=dropout) for _ in range(depth)
        )
        self.head = Head(width)
        self._initialise(depth)
        if tied:
            self.head.logits.weight = self.embedding.bytes.weight

    def forward(self, bytes_BT: Tensor) -> Tensor:
        x = bytes_BT
        for link in (self.embedding, *self.blocks, self.head):
            x = link(x)
        return x

    def stages(self) -> list[nn.Module]:
        """The links of the chain in order: calling one after the other is calling the model.

        With tied embeddings the first and the last share a matrix.
        """
        return [self.embedding, *self.blocks, self.head]

    def _initialise(self, depth: int) -> None:
        """Normal weights; those that write into the residual stream smaller, as 2 * depth of them add up (GPT-2)."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                writes = name.endswith(("attention.out.weight", "mlp.out.weight"))
                nn.init.normal_(parameter, std=_INITIAL_STD / (2 * depth) ** 0.5 if writes else _INITIAL_STD)


class Embedding(nn.Module):
    """Bytes as vectors, with a learned vector per position where there is a `context`: (B, T) -> (B, T, D)."""

    def __init__(self, width: int, *, context: int | None, dropout: float) -> None:
        super().__init__()
        self.bytes = nn.Embedding(BYTES, width)
        self.positions = None if context is None else nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, bytes_BT: Tensor) -> Tensor:
        x_BTD = self.bytes(bytes_BT)
        if self.positions is not None:
            x_BTD = x_BTD + self.positions.weight[: bytes_BT.shape[1]]
        embedded_BTD: Tensor = self.dropout(x_BTD)
        return embedded_BTD


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to what came in: (B, T, D) -> (B, T, D)."""

    def __init__(self, width: int, *, heads: int, context: int | None, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads=heads, context=context, dropout=dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = Perceptron(width, dropout=dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD))
        mixed_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return mixed_BTD


class Attention(nn.Module):
    """Causal self-attention: (B, T, D) -> (B, T, D). With a `context`, queries and keys are rotated by position."""

    def __init__(self, width: int, *, heads: int, context: int | None, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.rotary = None if context is None else Rotary(width // heads, context)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        query_BHTK, key_BHTK, value_BHTK = (
            part_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part_BTD in self.query_key_value(x_BTD).chunk(3, dim=-1)
        )
        if self.rotary is not None:
            query_BHTK, key_BHTK = self.rotary(query_BHTK), self.rotary(key_BHTK)
        seen_BHTK = functional.scaled_dot_product_attention(
            query_BHTK, key_BHTK, value_BHTK, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        seen_BTD: Tensor = self.residual_dropout(self.out(seen_BHTK.transpose(1, 2).flatten(2)))
        return seen_BTD


class Rotary(nn.Module):
    """Rotates pair i of a head's numbers by t / base^(2i/K) at position t: (B, H, T, K) -> (B, H, T, K).

    The product of a rotated query and a rotated key depends on their distance alone.
    """

    cosine_TP: Tensor  # P pairs, K / 2
    sine_TP: Tensor

    def __init__(self, head_width: int, context: int) -> None:
        super().__init__()
        rate_P = _ROPE_BASE ** -(torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
        angle_TP = torch.arange(context, dtype=torch.float64)[:, None] * rate_P
        # Not persistent: both follow from two hyperparameters.
        self.register_buffer("cosine_TP", angle_TP.cos().float(), persistent=False)
        self.register_buffer("sine_TP", angle_TP.sin().float(), persistent=False)

    def forward(self, x_BHTK: Tensor) -> Tensor:
        left, right = x_BHTK.chunk(2, dim=-1)  # pair i is numbers i and i + K/2
        cosine, sine = self.cosine_TP[: x_BHTK.shape[2]], self.sine_TP[: x_BHTK.shape[2]]
        return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


class Perceptron(nn.Module):
    """Four times as wide inside, GELU: (B, T, D) -> (B, T, D)."""

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.into = nn.Linear(width, 4 * width, bias=False)
        self.out = nn.Linear(4 * width, width, bias=False)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.residual_dropout(self.out(functional.gelu(self.into(x_BTD))))
        return y_BTD


class Head(nn.Module):
    """The last norm and the logits: (B, T, D) -> (B, T, V)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.logits = nn.Linear(width, BYTES, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        logits_BTV: Tensor = self.logits(self.norm(x_BTD))
        return logits_BTV


def next_byte_loss(logits_BTV: Tensor, next_BT: Tensor) -> Tensor:
    """The mean cross-entropy in nats per byte; next_BT holds the byte after each position."""
    return functional.cross_entropy(logits_BTV.flatten(0, 1), next_BT.flatten())


def _check(*, width: int, depth: int, heads: int, context: int, positions: str) -> None:
    if positions not in ("rope", "learned"):
        raise SpecError(f"transformer: positions must be rope or learned, got {positions!r}")
    if min(width, depth, heads, context) < 1:
        raise SpecError(
            f"transformer: width, depth, heads and context must be >= 1, got {width}, {depth}, {heads} and {context}"
        )
    if width % heads:
        raise SpecError(f"transformer: heads must divide the width, got {heads} heads and width {width}")
    if positions == "rope" and width // heads % 2:
        raise SpecError(
            f"transformer: rope rotates pairs, so width / heads must be even, got {width} / {heads}",
            hint="another number of heads, or positions: learned",
        )
