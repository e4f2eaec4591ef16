"""Files of a checkpoint: written aside and renamed when complete, with a checksum for each."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paretune.errors import CheckpointError


def write_checksums(folder: Path, names: Iterable[str], *, worker: int, workers: int) -> None:
    """Record what one of the workers has written; its list is complete only when it is there under its name."""
    sums = {name: _sha256(folder / name) for name in sorted(names)}
    target = folder / _list_name(worker)
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps({"workers": workers, "sha256": sums}, indent=1), encoding="utf-8")
    os.replace(aside, target)  # noqa: PTH105 - atomic, also over a file that is there


def verify_reached(folder: Path) -> None:
    """Check that what all workers say they have written is there, on the one that looks.

    Raises:
        CheckpointError: it is not, since workers on other machines have written to their own disks.
    """
    try:
        missing = [name for name in sorted(_expected(folder)) if not (folder / name).is_file()]
    except CheckpointError as error:
        missing = [error.message]
    if missing:
        raise CheckpointError(
            f"{folder}: must be one folder for all workers, {', '.join(missing)} of other workers is not there",
            hint="a path on a disk that all of them share; without one, save through Ray Train: run.snapshot()",
        )


def verify(folder: Path, *, worker: int, workers: int) -> None:
    """Check the k-th of every n files of a checkpoint, for the k-th of n workers.

    Raises:
        CheckpointError: a file or a list of files is missing, or is not what was written.
    """
    expected = _expected(folder)
    for name in sorted(expected)[worker::workers]:
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path}: must be there, is missing", hint="the checkpoint is incomplete")
        if _sha256(path) != expected[name]:
            raise CheckpointError(
                f"{path}: must be what was saved, its checksum differs", hint="the file was cut short or changed"
            )


def _expected(folder: Path) -> dict[str, str]:
    first = _read_list(folder / _list_name(0))
    lists = [first, *(_read_list(folder / _list_name(n)) for n in range(1, int(first["workers"])))]
    return {name: checksum for each in lists for name, checksum in each["sha256"].items()}


def _read_list(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"workers": int(found["workers"]), "sha256": dict(found["sha256"])}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must be there, is missing", hint="this is no complete checkpoint") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: must list the checkpoint's files, cannot be read: {error}") from None


def _list_name(worker: int) -> str:
    return f"files-{worker}.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
