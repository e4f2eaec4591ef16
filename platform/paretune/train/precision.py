"""Mixed precision: autocast around the forward pass, and loss scaling that all workers do alike."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from paretune.train.layout import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


class LossScale:
    """What the loss is multiplied by so that fp16 gradients do not vanish; 1 for other precisions.

    The rule is that of `torch.amp.GradScaler` (halve when a gradient overflows and leave the update out, double after
    2,000 updates without), but judged by the global norm, so that all stages and shards skip the same update.
    """

    _GROWTH_INTERVAL = 2000

    def __init__(self, precision: Precision) -> None:
        self.active = precision == "fp16"
        self.value = 2.0**16 if self.active else 1.0
        self._good = 0

    def judge(self, finite: bool) -> bool:
        """Adapt to one window's gradients; whether the update may be made."""
        if not self.active:
            return True
        if not finite:
            self.value, self._good = max(self.value / 2, 1.0), 0
            return False
        self._good += 1
        if self._good == self._GROWTH_INTERVAL:
            self.value, self._good = self.value * 2, 0
        return True

    def state_dict(self) -> dict[str, float]:
        return {"value": self.value, "good": self._good}

    def load_state_dict(self, state: dict[str, float]) -> None:
        if self.active:
            self.value, self._good = float(state["value"]), int(state["good"])
