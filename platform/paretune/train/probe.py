"""A look at what one part of a model puts out, in the steps that ask for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from paretune.train.judge import spread_and_alive

_ROWS = 64  # vectors that are looked at, spread over the batch: enough to tell whether they differ


class Probe:
    """Measures whether a module's outputs (..., D) still tell samples apart; elsewhere (None) it measures nothing."""

    def __init__(self, module: nn.Module | None) -> None:
        self._wanted = False
        self._found: list[Tensor] = []
        self._hook = None if module is None else module.register_forward_hook(self._look)

    def ask(self) -> None:
        """Look at the module in the passes to come, until `take`."""
        self._wanted = self._hook is not None

    def take(self) -> Tensor | None:
        """How often it was looked at, and the sums of spread and of the share that is alive: (3,); None: not asked."""
        found, self._found, self._wanted = self._found, [], False
        return torch.stack(found).sum(dim=0) if found else None

    def close(self) -> None:
        """Leave the module as it was."""
        if self._hook is not None:
            self._hook.remove()

    @torch.no_grad()
    def _look(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if self._wanted and module.training:
            rows_ND = output.detach().flatten(0, -2)
            looks = (1.0, *spread_and_alive(rows_ND[:: -(-len(rows_ND) // _ROWS)]))
            self._found.append(torch.stack([torch.as_tensor(x, device=output.device).double() for x in looks]))
