"""What the arithmetic of layouts expects of throughput and peak memory: prior means like those of earlier studies.

`Layout.efficiency` and the shares of memory are known before any trial, but neither units nor what else matters. So
they are means whose offset and slope the results determine, and which are dropped where results do not bear them out
(see `transfer`). How much parameters weigh against activations is not known: three mixtures stand for that.

Which outcome is which follows from its name, as `run.stats` has them: `tokens_per_s`, `samples_per_s`, anything in
`_per_s` is throughput; what begins with `peak_memory` is memory.

Legend: t test points, f columns, o outcomes; minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.encoding import Column, Encoding, nominal
from paretune.algorithms._gp.memory import Shares
from paretune.algorithms._gp.process import Mean
from paretune.coordinates import Column as Coordinate
from paretune.errors import SpecError
from paretune.layouts import LayoutSpec
from paretune.legality import with_parents
from paretune.objective import Objectives
from paretune.parameters import Config, Value
from paretune.space import Choice, Int, Space
from paretune.train.layout import Layout

Figure = Callable[[Layout, float], float]
"""Of a layout and a batch in units of a usual one."""

MIXTURES = (0.0, 0.5, 1.0)
"""Of the activations in what a worker holds; parameters and what belongs to them are the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class LayoutMean:
    """A figure of a configuration's layout, 0 of one that is refused; equal to itself alone."""

    encoding: Encoding
    columns: tuple[Column, ...]
    layout: LayoutSpec
    figure: Figure
    _known: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """Shape (t,); it has no slope in any column, because all that it looks at is discrete."""
        bins_tc = np.stack([_bins(column, X_tf.detach().numpy()) for column in self.columns], axis=-1)
        rows_rc, row_t = np.unique(bins_tc, axis=0, return_inverse=True)
        return torch.tensor([self._of(row_c) for row_c in rows_rc], dtype=X_tf.dtype)[torch.from_numpy(row_t.ravel())]

    def _of(self, row_c: npt.NDArray[np.int64]) -> float:
        key = row_c.tobytes()
        if key not in self._known:
            self._known[key] = self._figure(row_c.tolist())
        return self._known[key]

    def _figure(self, numbers: list[int]) -> float:
        config: dict[str, Value] = {}
        for column, number in zip(self.columns, numbers, strict=True):
            if self.encoding.space.is_active(column.name, config):
                config[column.name] = Coordinate(column.index, column.parameter).at(number)
        try:
            layout = self.layout.layout(config)
        except SpecError:
            return 0.0
        return self.figure(layout, _batch(self.layout, config, self.encoding.space))


def expectations(objectives: Objectives, encoding: Encoding) -> dict[str, tuple[Mean | None, ...]]:
    """The means by their names, each with one for every outcome it speaks of; none where no layout is searched."""
    found: dict[str, tuple[Mean | None, ...]] = {}
    for layout in (rule for rule in encoding.space.rules if isinstance(rule, LayoutSpec)):
        columns = _columns(layout, encoding)
        kinds = [_kind(name, sign) for name, sign in zip(objectives.outcome_names, objectives.signs, strict=True)]
        if "throughput" in kinds:
            slow = LayoutMean(encoding, columns, layout, _slowness)
            found["layout: speed"] = tuple(slow if kind == "throughput" else None for kind in kinds)
        for share in MIXTURES if "memory" in kinds else ():
            mean = LayoutMean(encoding, columns, layout, _memory(share))
            found[f"layout: memory, {share:g} activations"] = tuple(
                mean if kind == "memory" else None for kind in kinds
            )
    return found


def memory_shares(encoding: Encoding) -> Shares | None:
    """The shares of parameters and activations that a worker holds; None where no layout is searched."""
    for layout in (rule for rule in encoding.space.rules if isinstance(rule, LayoutSpec)):
        columns = _columns(layout, encoding)
        states, activations = (LayoutMean(encoding, columns, layout, _memory(share)) for share in (0.0, 1.0))
        return lambda X_tf: (states(X_tf).numpy(), activations(X_tf).numpy())
    return None


def _columns(layout: LayoutSpec, encoding: Encoding) -> tuple[Column, ...]:
    """Those that decide on the layout."""
    wanted = with_parents(layout.names, encoding.space)
    return tuple(column for column in encoding.columns if column.name in wanted)


def _kind(name: str, sign: float) -> str | None:
    if name.endswith("_per_s") and sign < 0:
        return "throughput"
    return "memory" if name.startswith("peak_memory") and sign > 0 else None


def _slowness(layout: Layout, batch: float) -> float:
    return -layout.efficiency()


def _memory(activations: float) -> Figure:
    def held(layout: Layout, batch: float) -> float:
        return (1 - activations) * layout.states_share() + activations * batch * layout.activations_share()

    return held


def _batch(layout: LayoutSpec, config: Config, space: Space) -> float:
    """The batch in units of the largest one."""
    size = config.get(layout.batch or "")
    return float(size) / float(_largest(space, layout.batch)) if isinstance(size, int) and layout.batch else 1.0


def _largest(space: Space, name: str) -> float:
    parameter = space[name]
    assert isinstance(parameter, Int | Choice)
    options = parameter.options if isinstance(parameter, Choice) else (parameter.high,)
    return max(float(option) for option in options if isinstance(option, int | float))


def _bins(column: Column, X_tf: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The number of the value in each row; of an absent parameter any number."""
    part_tw = X_tf[:, column.start : column.start + column.width]
    if column.width > 1:
        return np.asarray(part_tw.argmax(axis=1), dtype=np.int64)
    if nominal(column.parameter):
        return np.clip(np.rint(part_tw[:, 0]), 0, column.parameter.cardinality - 1).astype(np.int64)
    return Coordinate(column.index, column.parameter).bins(part_tw[:, 0])
