"""Checkpoints of a run as folders: each worker writes what lies on it, and any number of workers reads it.

.metadata, __<worker>_0.distcp    tensors, by `torch.distributed.checkpoint`
state.pt                          what is no tensor
files-<worker>.json               checksums of what each worker wrote
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
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from paretune.errors import CheckpointError, ParetuneError
from paretune.train.contents import Contents, contents, load, targets
from paretune.train.files import verify, verify_reached, write_checksums
from paretune.train.ranks import rank, world_size

if TYPE_CHECKING:
    from ray.train import Checkpoint

    from paretune.train.run import Run

_STATE = "state.pt"


def make_room(folder: Path) -> None:
    """Remove what a run that was killed has left of a checkpoint of this name; every worker calls it.

    Raises:
        CheckpointError: there is a whole one.
    """

    def look() -> None:
        if folder.exists():
            raise CheckpointError(f"{folder}: must not be there yet, is", hint="save under a new name")
        shutil.rmtree(_aside(folder), ignore_errors=True)

    together(look, folder)


def write(what: Contents, folder: Path, group: dist.ProcessGroup | None) -> None:
    """Write a checkpoint under a temporary name, and rename it when all workers have done their part.

    Every worker of `group` (None: of all) calls it, on whatever thread; all raise what one of them met.

    Raises:
        CheckpointError: the workers do not reach the same folder, or it cannot be written to.
    """
    aside = _aside(folder)

    def finish() -> None:
        if rank() == 0:
            verify_reached(aside)
            aside.rename(folder)

    try:
        together(lambda: aside.mkdir(parents=True, exist_ok=True), folder, group)
        together(lambda: put(what, aside, group), folder, group)
        together(finish, folder, group)
    except CheckpointError:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def put(what: Contents, folder: Path, group: dist.ProcessGroup | None) -> None:
    """Write this worker's files into `folder`, which may be the same for all workers or one for each."""
    _expect_to_be_alone()
    try:
        dcp_save(
            dict(what.tensors),
            storage_writer=FileSystemWriter(folder),
            process_group=group,
            no_dist=world_size() == 1,
        )
    except CheckpointException as error:  # which is no Exception
        raise CheckpointError(f"{folder}: cannot be written: {error}") from error
    names = [path.name for path in folder.glob(f"__{rank()}_*")]
    if what.rest is not None:
        (folder / _STATE).write_bytes(what.rest)
        names += [".metadata", _STATE]
    write_checksums(folder, names, worker=rank(), workers=world_size())


def read(run: Run, folder: Path) -> dict[str, Any]:
    """Load a checkpoint, written under this or another layout; returns its `extra`.

    Nothing is changed when it is refused, on any worker.

    Raises:
        CheckpointError: on all workers alike, when it is incomplete, damaged, or of another model.
    """
    rest: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}

    def look() -> None:
        verify(folder, worker=rank(), workers=world_size())
        rest.update(torch.load(folder / _STATE, map_location="cpu", weights_only=True))
        try:
            tensors.update(targets(run, FileSystemReader(folder).read_metadata().state_dict_metadata, rest))
        except CheckpointError as error:
            raise error.located(str(folder)) from None

    together(look, folder)
    _expect_to_be_alone()
    dcp_load(
        tensors,
        storage_reader=FileSystemReader(folder),
        process_group=run.mesh.everyone,
        no_dist=run.mesh.everyone is None,
    )
    return load(run, tensors, rest)


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
        put(contents(run, extra), Path(folder), run.mesh.everyone)
        yield Checkpoint.from_directory(folder)


def resume(run: Run) -> dict[str, Any] | None:
    """Load what Ray Train hands this trial."""
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return read(run, Path(folder))


def together(look: Callable[[], None], folder: Path, group: dist.ProcessGroup | None = None) -> None:
    """Let every worker look; if one finds something wrong, all raise what the first of them found."""
    mine: ParetuneError | None = None
    try:
        look()
    except ParetuneError as error:
        mine = error
    except Exception as error:  # a full disk, say, or damage that checksums do not see: written by something else
        mine = CheckpointError(f"{folder}: {type(error).__name__}: {error}")
    found: list[ParetuneError | None] = [mine]
    if world_size() > 1:
        found = [None] * world_size()
        dist.all_gather_object(found, mine, group=group)
    wrong = [error for error in found if error is not None]
    if wrong:
        raise wrong[0]


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def _expect_to_be_alone() -> None:
    """No warning from PyTorch that a single process saves as a single process.

    For good: filters that are put back would be those of other threads.
    """
    warnings.filterwarnings("ignore", message="torch.distributed is disabled")


def _from_rank_0(value: Any) -> Any:
    shared = [value]
    if world_size() > 1:
        dist.broadcast_object_list(shared, src=0)
    return shared[0]
