"""A model put on the workers of a layout: cut, moved, recomputed, replicated, always in this order.

Parameters keep the names they have in the whole model wherever they come to lie: checkpoints go by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from paretune.errors import SpecError
from paretune.train import replicas
from paretune.train.gradients import Shared
from paretune.train.layers import check_cuts, cut, layers_of, measure
from paretune.train.layout import Layout
from paretune.train.mesh import Mesh
from paretune.train.pipeline import Stage
from paretune.train.ranks import unwrap
from paretune.train.recompute import recompute


@dataclass(frozen=True, slots=True)
class Assembly:
    """What of the model lies on this worker."""

    modules: dict[int, nn.Module]
    """The stages to call, by their number; without a pipeline the whole model as stage 0."""
    parameters: dict[str, nn.Parameter]
    """By their names in the whole model; each tensor once."""
    buffers: dict[str, Tensor]
    """Those that belong into a checkpoint, by their names in the whole model."""
    shared: list[Shared]
    """Parameters that stages on several workers use, in the same order everywhere."""
    counted: frozenset[str]
    """Names of the parameters whose gradients this stage's workers put into the global norm."""
    cuts: tuple[int, ...]
    """The first layer of each stage."""
    undo: Callable[[], None]
    """Takes back what was done to the model's own objects."""


def assemble(
    model: nn.Module,
    layout: Layout,
    mesh: Mesh,
    device: torch.device,
    *,
    cuts: Sequence[int] | None,
    example: Tensor | None,
) -> Assembly:
    """Give all workers the first one's weights, and put this worker's part of the model on its device."""
    if mesh.everyone is not None:
        _share_state(model, mesh.everyone, device)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    saved = model.state_dict(keep_vars=True)
    buffer_names = {id(buffer): name for name, buffer in model.named_buffers() if name in saved}
    parts, first = _parts(model, layout, mesh, device, cuts=cuts, example=example)
    mine = {n: part for n, part in parts.items() if n % layout.pipeline == mesh.stage}
    modules = {n: Stage(part, layout, device) if layout.pipeline > 1 else model for n, part in sorted(mine.items())}
    found = {n: [names[id(p)] for p in module.parameters()] for n, module in modules.items()}
    found_buffers = {n: [buffer_names.get(id(b)) for b in module.buffers()] for n, module in modules.items()}
    users = _users(parts, names, layout)
    if layout.shard == "fsdp" and layout.data > 1 and users:
        raise SpecError(
            f"layout: stages on several workers share {', '.join(users)}, which fsdp would shard apart",
            hint="shard='ddp' or 'none', or do not tie these weights",
        )
    for module in modules.values():
        module.to(device)
    layers = [layer for part in mine.values() for layer in part]
    undo = recompute(list(dict.fromkeys(layers))) if layout.activation_checkpointing else _nothing
    replicated = {n: replicas.replicate(module, mine[n], layout, mesh.data) for n, module in modules.items()}
    parameters: dict[str, nn.Parameter] = {}
    buffers: dict[str, Tensor] = {}
    for n, module in replicated.items():
        inner = unwrap(module)
        parameters.update(zip(found[n], inner.parameters(), strict=True))
        buffers.update({name: b for name, b in zip(found_buffers[n], inner.buffers(), strict=True) if name})
    originals = dict(model.named_parameters())
    return Assembly(
        modules=replicated,
        parameters=parameters,
        buffers=buffers,
        shared=[Shared(parameters.get(name), originals[name].shape, originals[name].dtype) for name in users],
        counted=frozenset(name for name in parameters if users.get(name, mesh.stage) == mesh.stage),
        cuts=tuple(first),
        undo=undo,
    )


def _nothing() -> None:
    return


def _share_state(model: nn.Module, group: dist.ProcessGroup, device: torch.device) -> None:
    """The first worker's weights and buffers for all, wherever the model lies by now."""
    tensors = [*(parameter.data for parameter in model.parameters()), *model.buffers()]
    replicas.broadcast(tensors, group, device=device)


def _parts(
    model: nn.Module,
    layout: Layout,
    mesh: Mesh,
    device: torch.device,
    *,
    cuts: Sequence[int] | None,
    example: Tensor | None,
) -> tuple[dict[int, list[nn.Module]], list[int]]:
    """The layers of each stage, and the first one's index."""
    if layout.pipeline == 1:
        needed = layout.activation_checkpointing
        known = needed or isinstance(model, nn.Sequential) or callable(getattr(model, "stages", None))
        return {0: layers_of(model) if known else []}, [0]
    layers = layers_of(model)
    if cuts is not None:
        first = check_cuts(cuts, layers=len(layers), stages=layout.stages)
    else:
        first = _measured_cuts(layers, layout, mesh, device, example)
    ends = [*first[1:], len(layers)]
    return {n: layers[a:b] for n, (a, b) in enumerate(zip(first, ends, strict=True))}, first


def _measured_cuts(
    layers: list[nn.Module], layout: Layout, mesh: Mesh, device: torch.device, example: Tensor | None
) -> list[int]:
    """Balanced by what the layers cost on the first worker, whose word counts."""
    if example is None:
        raise SpecError(
            "prepare: a pipeline is cut by what the layers cost on an example batch, and none was given",
            hint="example=inputs, or cuts=[0, ...], the first layer of each stage",
        )
    cuts = torch.zeros(layout.stages, dtype=torch.int64, device=device)
    if mesh.stage == 0 and mesh.replica == 0:
        piece = example[: max(1, len(example) // layout.microbatches)].to(device)
        cuts = torch.tensor(cut(measure(layers, piece), layout.stages), device=device)
    dist.broadcast(cuts, group=mesh.everyone, group_src=0)
    return [int(first) for first in cuts.tolist()]


def _users(parts: dict[int, list[nn.Module]], names: dict[int, str], layout: Layout) -> dict[str, int]:
    """The parameters that stages on several workers use, in a fixed order, with the first worker that does."""
    workers: dict[str, set[int]] = {}
    for n, part in parts.items():
        for layer in part:
            for parameter in layer.parameters():
                workers.setdefault(names[id(parameter)], set()).add(n % layout.pipeline)
    return {name: min(used) for name, used in sorted(workers.items()) if len(used) > 1}
