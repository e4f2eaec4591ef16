"""Checkpoints of a run: each worker writes what lies on it, under the names of the whole model.

    .metadata, __<worker>_0.distcp    weights, buffers, optimizer state, by `torch.distributed.checkpoint`
    state.pt                          updates so far, learning rates, scheduler, loss scale, random states, what you add
    files-<worker>.json               checksums of what each worker wrote

Names and full shapes decide what belongs where, so that any layout reads what any other has written.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from paretune.errors import CheckpointError, ParetuneError, SpecError
from paretune.train.files import verify, write_checksums
from paretune.train.ranks import gather_to_rank_0, rank, world_size
from paretune.train.rng import load_rng, rng_state

if TYPE_CHECKING:
    from ray.train import Checkpoint

    from paretune.train.run import Run

_STATE = "state.pt"
_NUMBER = "#number"  # ends the names of optimizer state that is a Python number


def save(run: Run, folder: Path, extra: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name and rename it when all workers have done their part."""
    aside = folder.with_name(f"{folder.name}.part")

    def look() -> None:
        if folder.exists():
            raise CheckpointError(f"{folder}: must not be there yet, is", hint="save under a new name")
        if rank() == 0:
            shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed while it saved

    _together(look, folder)
    write(run, aside, extra)
    _barrier()
    if rank() == 0:
        aside.rename(folder)
    _barrier()


def read_latest(run: Run, folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Load the last complete checkpoint by name; those that are refused are left where they are."""
    found = sorted((path.name for path in folder.iterdir() if path.suffix != ".part"), reverse=True)
    names: list[str] = _from_rank_0(found)
    for name in names:
        try:
            return folder / name, read(run, folder / name)
        except CheckpointError as error:
            if rank() == 0:
                warnings.warn(f"checkpoint {name} is left out: {error}", stacklevel=3)
    return None


@contextmanager
def snapshot(run: Run, extra: dict[str, Any]) -> Iterator[Checkpoint]:
    """This worker's part as a folder of its own, which lives until the block ends."""
    from ray.train import Checkpoint

    with tempfile.TemporaryDirectory(prefix="paretune-checkpoint-") as folder:
        write(run, Path(folder), extra)
        yield Checkpoint.from_directory(folder)


def resume(run: Run) -> dict[str, Any] | None:
    """Load what Ray Train hands this trial."""
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return read(run, Path(folder))


def write(run: Run, folder: Path, extra: dict[str, Any]) -> None:
    """Write this worker's files into `folder`, which may be the same for all workers or one for each."""
    if run.pending:
        raise SpecError(
            "save: gradients wait for an update, which a checkpoint does not keep", hint="run.flush() first"
        )
    run.share_buffers()
    rng = gather_to_rank_0(rng_state())
    folder.mkdir(parents=True, exist_ok=True)
    with _quietly_alone():
        dcp_save(
            {**_weights(run), **_optimizer_state(run)},
            storage_writer=FileSystemWriter(folder),
            process_group=run.mesh.everyone,
            no_dist=run.mesh.everyone is None,
        )
    names = [path.name for path in folder.glob(f"__{rank()}_*")]
    if rank() == 0:
        state = {
            "updates": run.updates,
            "groups": [_options(group) for group in run.optimizer.param_groups],
            "scheduler": run.scheduler.state_dict() if run.scheduler is not None else None,
            "loss_scale": run.loss_scale.state_dict(),
            "rng": rng,
            "extra": extra,
        }
        torch.save(state, folder / _STATE)
        names += [".metadata", _STATE]
    write_checksums(folder, names, worker=rank(), workers=world_size())


def read(run: Run, folder: Path) -> dict[str, Any]:
    """Load a checkpoint, written under this or another layout; returns what `write` was given as `extra`.

    Nothing is changed when it is refused, on any worker.

    Raises:
        CheckpointError: on all workers alike, when it is incomplete, damaged, or of another model.
    """
    state: dict[str, Any] = {}
    targets: dict[str, Tensor] = {}

    def look() -> None:
        verify(folder, worker=rank(), workers=world_size())
        state.update(torch.load(folder / _STATE, map_location="cpu", weights_only=True))
        targets.update(_targets(run, folder))
        if len(state["groups"]) != len(run.optimizer.param_groups):
            raise CheckpointError(
                f"{folder}: must have {len(run.optimizer.param_groups)} groups of parameters, as the optimizer, has "
                f"{len(state['groups'])}"
            )

    _together(look, folder)
    with _quietly_alone():
        dcp_load(
            targets,
            storage_reader=FileSystemReader(folder),
            process_group=run.mesh.everyone,
            no_dist=run.mesh.everyone is None,
        )
    _load_optimizer(run, targets, state["groups"])
    if run.scheduler is not None and state["scheduler"] is not None:
        run.scheduler.load_state_dict(state["scheduler"])
    run.loss_scale.load_state_dict(state["loss_scale"])
    run.updates = state["updates"]
    load_rng(state["rng"])
    extra: dict[str, Any] = state["extra"]
    return extra


def _together(look: Callable[[], None], folder: Path) -> None:
    """Let every worker look; if one finds something wrong, all raise what the first of them found."""
    mine: ParetuneError | None = None
    try:
        look()
    except ParetuneError as error:
        mine = error
    except Exception as error:  # damaged in a way that checksums do not see: written by something else
        mine = CheckpointError(f"{folder}: cannot be read: {type(error).__name__}: {error}")
    found: list[ParetuneError | None] = [mine]
    if world_size() > 1:
        found = [None] * world_size()
        dist.all_gather_object(found, mine)
    wrong = [error for error in found if error is not None]
    if wrong:
        raise wrong[0]


@contextmanager
def _quietly_alone() -> Iterator[None]:
    """Without PyTorch's warning that a single process saves as a single process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _barrier() -> None:
    if world_size() > 1:
        dist.barrier()


def _from_rank_0(value: Any) -> Any:
    shared = [value]
    if world_size() > 1:
        dist.broadcast_object_list(shared, src=0)
    return shared[0]


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


def _targets(run: Run, folder: Path) -> dict[str, Tensor]:
    """What is to be read here: the weights themselves, and new tensors for the optimizer's state."""
    saved = FileSystemReader(folder).read_metadata().state_dict_metadata
    targets = _weights(run)
    for name, tensor in targets.items():
        if name not in saved:
            raise CheckpointError(f"{folder}: must have {name}, has not", hint="it is of another model")
        size = getattr(saved[name], "size", ())
        if tuple(size) != tuple(tensor.shape):
            raise CheckpointError(
                f"{folder}: {name} must be {tuple(tensor.shape)}, is {tuple(size)}",
                hint="it is of a model of another size",
            )
    for name, parameter in run.parts.parameters.items():
        prefix = f"optimizer.{name}."
        for key in (key for key in saved if key.startswith(prefix)):
            targets[key] = _empty(parameter, saved[key])
    return targets


def _empty(parameter: nn.Parameter, saved: Any) -> Tensor:
    """Sharded as its parameter is when it has one number for each of the parameter's."""
    if saved.size == parameter.shape:
        return torch.zeros_like(parameter.detach(), dtype=saved.properties.dtype)
    return torch.zeros(saved.size, dtype=saved.properties.dtype)


def _load_optimizer(run: Run, targets: dict[str, Tensor], groups: list[dict[str, Any]]) -> None:
    names = {id(parameter): name for name, parameter in run.parts.parameters.items()}
    fresh = run.optimizer.state_dict()
    ordered = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    state = {}
    for index, parameter in enumerate(ordered):
        prefix = f"optimizer.{names[id(parameter)]}."
        found = {key.removeprefix(prefix): value for key, value in targets.items() if key.startswith(prefix)}
        if found:
            state[index] = {
                key.removesuffix(_NUMBER): value.item() if key.endswith(_NUMBER) else value
                for key, value in found.items()
            }
    merged = [{**options, "params": own["params"]} for options, own in zip(groups, fresh["param_groups"], strict=True)]
    run.optimizer.load_state_dict({"state": state, "param_groups": merged})
