"""Checkpoints in the study's folder: saved by workers, named in reports, removed by the driver.

    <study>/checkpoints/<trial>/<attempt>-<step>/       one folder per report that came with a checkpoint

The attempt is in the name so that a second run of the same step never writes into the first one's files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pyarrow import fs

from paretune import schedulers, winners
from paretune.log import Log
from paretune.pareto import non_dominated
from paretune.records import ENDINGS, Entry, Event, Metrics, Report
from paretune.store import checkpoint_root
from paretune.study import StudySpec

if TYPE_CHECKING:
    from ray.train import Checkpoint


def located(folder: str) -> tuple[fs.FileSystem, str]:
    """The file system of a study's folder (a path or URI), and the path there."""
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
    filesystem, root = located(checkpoint_root(folder))
    target = f"{root}/{name}"
    filesystem.create_dir(target, recursive=True)
    fs.copy_files(checkpoint.path, target, source_filesystem=checkpoint.filesystem, destination_filesystem=filesystem)
    return name


def open_checkpoint(name: str, folder: str) -> Checkpoint:
    """The checkpoint that a report named."""
    from ray.train import Checkpoint

    filesystem, root = located(checkpoint_root(folder))
    return Checkpoint(path=f"{root}/{name}", filesystem=filesystem)


def remaining(saved: Sequence[tuple[str, Metrics]], folder: str) -> list[tuple[Checkpoint, Metrics]]:
    """Those of a trial's checkpoints that `train: keep` has not removed yet, opened, with what came with them."""
    filesystem, root = located(checkpoint_root(folder))
    found = filesystem.get_file_info([f"{root}/{name}" for name, _ in saved]) if saved else []
    there = [entry for entry, info in zip(saved, found, strict=True) if info.type is fs.FileType.Directory]
    return [(open_checkpoint(name, folder), metrics) for name, metrics in there]


class Keeper:
    """A listener that removes the checkpoints that `train: keep` does not keep, once what says so is committed.

    Not before: until then they are what a resumed study needs. Whoever may still go on has its last checkpoint, and
    there is what trials to come may begin with (see `Scheduler.spared`).
    """

    def __init__(self, folder: str, spec: StudySpec, log: Log) -> None:
        """Begin where the log stands, with what an earlier driver did not come to remove."""
        self._filesystem, self._root = located(checkpoint_root(folder))
        self._keep, self._objectives, self._room = spec.train.keep, spec.objectives, spec.search.trials
        self._front: dict[int, npt.NDArray[np.float64]] = {}  # trial -> its minimised objectives
        self._scheduler = schedulers.create(spec)
        self._spared: Collection[str] = ()
        self._held: set[str] = set()  # what is only there because it is spared
        for entry in log.entries:
            self._follow(entry)
        if self._keep == "best":
            self._front = {
                trial.id: spec.objectives.minimized(trial.metrics)
                for trial in winners.front(log.ended, spec.objectives)
            }
        if self._keep == "best" or (self._keep == "last" and self._scheduler.room is not None):
            self._sweep(log)

    def on_start(self, spec: StudySpec, log: Log) -> None: ...

    def on_entry(self, entry: Entry) -> None:
        if self._keep == "all":
            return
        self._follow(entry)
        for name in self._held.difference(self._spared):
            self._held.remove(name)
            self._drop(name)
        if isinstance(entry, Report):
            if entry.checkpoint is not None:
                self._remove_older(entry.checkpoint)
        elif entry.kind in ENDINGS and self._keep == "best":
            self._judge(entry)

    def on_end(self) -> None: ...

    def _follow(self, entry: Entry) -> None:
        schedulers.told(self._scheduler, entry)
        self._room -= isinstance(entry, Event) and entry.kind == "suggested"
        self._spared = self._scheduler.spared(last=self._room <= 0)

    def _judge(self, end: Event) -> None:
        """Remove the trial that ended unless it is on the front, and whoever it drives from there."""
        assert end.trial is not None
        if end.kind != "completed" or not winners.contends(end.kind, end.metrics, self._objectives):
            self._remove(end.trial)
            return
        self._front[end.trial] = self._objectives.minimized(end.metrics)
        stays_n = non_dominated(np.array(list(self._front.values())))
        for trial in [trial for trial, stays in zip(self._front, stays_n, strict=True) if not stays]:
            del self._front[trial]
            self._remove(trial)

    def _sweep(self, log: Log) -> None:
        for trial in log.trials.values():
            if self._keep == "best" and trial.ended and trial.id not in self._front:
                self._remove(trial.id)
            elif trial.reports and trial.checkpoint is not None:
                self._remove_older(trial.checkpoint)

    def _remove(self, trial: int) -> None:
        for folder in self._folders(f"{self._root}/{trial:05d}"):
            self._drop(f"{trial:05d}/{folder.base_name}")

    def _remove_older(self, name: str) -> None:
        trial, _, kept = name.partition("/")
        for folder in self._folders(f"{self._root}/{trial}"):
            if _age(folder.base_name) < _age(kept):
                self._drop(f"{trial}/{folder.base_name}")

    def _drop(self, name: str) -> None:
        """Remove a checkpoint, later where it is spared now."""
        if name in self._spared:
            self._held.add(name)
        else:
            self._filesystem.delete_dir(f"{self._root}/{name}")

    def _folders(self, path: str) -> list[fs.FileInfo]:
        found = self._filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return [info for info in found if info.type is fs.FileType.Directory]


def _age(name: str) -> tuple[int, int]:
    """Attempt and step: the order in which a trial's checkpoints are made."""
    attempt, _, step = name.partition("-")
    return int(attempt), int(step)
