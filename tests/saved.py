"""Weights out of checkpoints, whoever wrote them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """By name. What `Run.snapshot` writes is a file per worker, put together first; `snapshot` writes one file."""
    found: dict[str, torch.Tensor]
    if not (folder / ".metadata").exists():
        found = torch.load(folder / "state.pt", weights_only=True)["model"]
        return found
    with tempfile.TemporaryDirectory() as scratch:
        dcp_to_torch_save(folder, Path(scratch) / "whole.pt")
        found = torch.load(Path(scratch) / "whole.pt", weights_only=True)
    found = {name: tensor for name, tensor in found.items() if name.startswith("model.")}
    assert found, "a checkpoint has weights"
    return found
