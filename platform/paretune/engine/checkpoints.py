"""Checkpoints in the study's folder: saved by workers, named in reports, removed by the driver.

    <study>/checkpoints/<trial>/<attempt>-<step>/       one folder per report that came with a checkpoint

The attempt is in the name so that a second run of the same step never writes into the first one's files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from paretune.store import checkpoint_root

if TYPE_CHECKING:
    from ray.train import Checkpoint


def _filesystem(folder: str) -> tuple[fs.FileSystem, str]:
    if "://" in folder:
        filesystem, path = fs.FileSystem.from_uri(folder)
        return filesystem, path
    return fs.LocalFileSystem(), str(Path(folder).resolve())


def save(checkpoint: Checkpoint, folder: str, *, trial: int, attempt: int, step: int) -> str:
    """Copy a checkpoint into the study's folder; ranks that save the same step add their files to the same place.

    Returns:
        The path below the checkpoint root, to be named in the report.
    """
    name = f"{trial:05d}/{attempt}-{step}"
    filesystem, root = _filesystem(checkpoint_root(folder))
    target = f"{root}/{name}"
    filesystem.create_dir(target, recursive=True)
    fs.copy_files(checkpoint.path, target, source_filesystem=checkpoint.filesystem, destination_filesystem=filesystem)
    return name


def open_checkpoint(name: str, folder: str) -> Checkpoint:
    """The checkpoint that a report named."""
    from ray.train import Checkpoint

    filesystem, root = _filesystem(checkpoint_root(folder))
    return Checkpoint(path=f"{root}/{name}", filesystem=filesystem)


def remove_older(name: str, folder: str) -> None:
    """Remove a trial's checkpoints other than the named one.

    Call it only once the report that names it is committed: until then the one before is what a resume needs.
    """
    filesystem, root = _filesystem(checkpoint_root(folder))
    trial = name.split("/")[0]
    for info in filesystem.get_file_info(fs.FileSelector(f"{root}/{trial}", allow_not_found=True)):
        if info.type is fs.FileType.Directory and not info.path.endswith(f"/{name}"):
            filesystem.delete_dir(info.path)
