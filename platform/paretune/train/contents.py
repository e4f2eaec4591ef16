"""What of a run is in a checkpoint: tensors by their names in the whole model, and a little that is none.

    model.<parameter or buffer>         weights, BatchNorm statistics
    optimizer.<parameter>.<key>         momenta and the like; a key that ends with #number was a Python number
    the rest (rank 0)                   updates so far, learning rates, scheduler, loss scale, what the watchers go by,
                                        random states, what you add

Names and full shapes decide what belongs where, so that any layout reads what any other has written.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from paretune.errors import CheckpointError, SpecError
from paretune.train.ranks import gather_to_rank_0, rank
from paretune.train.rng import load_rng, rng_state

if TYPE_CHECKING:
    from paretune.train.run import Run

_NUMBER = "#number"


@dataclass(frozen=True, slots=True)
class Contents:
    """What this worker puts into a checkpoint."""

    tensors: dict[str, Tensor]
    """Those of the run itself, or copies of them."""
    rest: bytes | None
    """On rank 0 alone."""

    def copied(self) -> Contents:
        """The same with copies in host memory, which go on being what they are while the run trains."""
        options = StagingOptions(
            use_pinned_memory=False, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
        )
        copies: Any = DefaultStager(options).stage(self.tensors)
        return Contents(copies, self.rest)


def contents(run: Run, extra: dict[str, Any]) -> Contents:
    """What the run is now; every worker calls it.

    Raises:
        SpecError: gradients wait for an update.
        DivergedError, StarvedError: as the watchers' rules say of the steps so far.
    """
    run.health.pause()
    run.health.judge()
    if run.pending:
        raise SpecError(
            "save: gradients wait for an update, which a checkpoint does not keep", hint="run.flush() first"
        )
    run.passes.share_buffers()
    rng = gather_to_rank_0(rng_state())
    rest = {
        "updates": run.updates,
        "groups": [_options(group) for group in run.optimizer.param_groups],
        "scheduler": run.scheduler.state_dict() if run.scheduler is not None else None,
        "loss_scale": run.loss_scale.state_dict(),
        "health": run.health.state_dict(),
        "rng": rng,
        "extra": extra,
    }
    return Contents({**_weights(run), **_optimizer_state(run)}, _packed(rest) if rank() == 0 else None)


def targets(run: Run, saved: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Tensor]:
    """What is to be read here: the weights themselves, and new tensors for the optimizer's state.

    `saved` describes the tensors of the checkpoint by name.

    Raises:
        CheckpointError: it is of another model or optimizer.
    """
    found = _weights(run)
    for name, tensor in found.items():
        if name not in saved:
            raise CheckpointError(f"must have {name}, has not", hint="it is of another model")
        size = getattr(saved[name], "size", ())
        if tuple(size) != tuple(tensor.shape):
            raise CheckpointError(
                f"{name} must be {tuple(tensor.shape)}, is {tuple(size)}", hint="it is of a model of another size"
            )
    if len(rest["groups"]) != len(run.optimizer.param_groups):
        raise CheckpointError(
            f"must have {len(run.optimizer.param_groups)} groups of parameters, as the optimizer, has "
            f"{len(rest['groups'])}"
        )
    for name, parameter in run.parts.parameters.items():
        prefix = f"optimizer.{name}."
        for key in (key for key in saved if key.startswith(prefix)):
            found[key] = _empty(parameter, saved[key])
    return found


def load(run: Run, tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what was read into `targets`, and the rest; returns its `extra`."""
    _load_optimizer(run, tensors, rest["groups"])
    if run.scheduler is not None and rest["scheduler"] is not None:
        run.scheduler.load_state_dict(rest["scheduler"])
    run.loss_scale.load_state_dict(rest["loss_scale"])
    run.health.load_state_dict(rest["health"])
    run.updates = rest["updates"]
    load_rng(rest["rng"])
    extra: dict[str, Any] = rest["extra"]
    return extra


def _packed(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _weights(run: Run) -> dict[str, Tensor]:
    tensors = {name: parameter.detach() for name, parameter in run.parts.parameters.items()}
    return {f"model.{name}": tensor for name, tensor in {**tensors, **run.parts.buffers}.items()}


def _optimizer_state(run: Run) -> dict[str, Tensor]:
    return {
        f"optimizer.{name}.{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in run.parts.parameters.items()
        for key, value in (
            (key if isinstance(value, Tensor) else key + _NUMBER, value)
            for key, value in run.optimizer.state.get(parameter, {}).items()
        )
    }


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _empty(parameter: nn.Parameter, saved: Any) -> Tensor:
    """Sharded as its parameter is when it has one number for each of the parameter's."""
    if saved.size == parameter.shape:
        return torch.zeros_like(parameter.detach(), dtype=saved.properties.dtype)
    return torch.zeros(saved.size, dtype=saved.properties.dtype)


def _load_optimizer(run: Run, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]) -> None:
    names = {id(parameter): name for name, parameter in run.parts.parameters.items()}
    fresh = run.optimizer.state_dict()
    ordered = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    state = {}
    for index, parameter in enumerate(ordered):
        prefix = f"optimizer.{names[id(parameter)]}."
        found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if found:
            state[index] = {
                key.removesuffix(_NUMBER): value.item() if key.endswith(_NUMBER) else value
                for key, value in found.items()
            }
    merged = [{**options, "params": own["params"]} for options, own in zip(groups, fresh["param_groups"], strict=True)]
    run.optimizer.load_state_dict({"state": state, "param_groups": merged})
