"""Checkpoints in the study's folder: saved by workers, named in reports, removed by the driver.

    <study>/checkpoints/<trial>/<attempt>-<step>/       one folder per report that came with a checkpoint

The attempt is in the name so that a second run of the same step never writes into the first one's files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from paretune.log import Log
from paretune.records import Entry, Report
from paretune.store import checkpoint_root
from paretune.study import StudySpec

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


class Pruner:
    """A listener that removes a trial's older checkpoints once the report that names a newer one is committed.

    Not before: until then the one before is what a resumed study needs.
    """

    def __init__(self, folder: str) -> None:
        self._filesystem, self._root = _filesystem(checkpoint_root(folder))

    def on_start(self, spec: StudySpec, log: Log) -> None: ...

    def on_entry(self, entry: Entry) -> None:
        if isinstance(entry, Report) and entry.checkpoint is not None:
            self._remove_others(entry.checkpoint)

    def on_end(self) -> None: ...

    def _remove_others(self, name: str) -> None:
        trial, _, kept = name.partition("/")
        for info in self._filesystem.get_file_info(fs.FileSelector(f"{self._root}/{trial}", allow_not_found=True)):
            if info.type is fs.FileType.Directory and _age(info.base_name) < _age(kept):
                self._filesystem.delete_dir(info.path)


def _age(name: str) -> tuple[int, int]:
    """Attempt and step: the order in which a trial's checkpoints are made."""
    attempt, _, step = name.partition("-")
    return int(attempt), int(step)
