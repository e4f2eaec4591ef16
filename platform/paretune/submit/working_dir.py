"""The folder that travels with a study: which one, which of its files, and the archive made of them.

In a git work tree the files are those git knows or would add, so that .gitignore says what stays behind; elsewhere
they are all. The same files always give the same bytes, and Ray uploads an archive it already has only once.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from paretune.errors import ClusterError

MIB = 1024**2
LIMIT_BYTES = 100 * MIB  # the dashboard takes no larger request (Ray's DASHBOARD_CLIENT_MAX_SIZE)

_LEFT_BEHIND = frozenset(
    {".git", ".venv", "venv", "__pycache__", "node_modules", ".ipynb_checkpoints", "paretune-results"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
)


def choose(spec_path: Path, working_dir: Path | None) -> Path:
    """The folder to send: the one asked for, else the current one if it holds the spec, else the spec's own.

    Raises ClusterError when the folder asked for does not hold the spec.
    """
    spec_path = spec_path.resolve()
    if working_dir is None:
        here = Path.cwd().resolve()
        return here if spec_path.is_relative_to(here) else spec_path.parent
    folder = working_dir.resolve()
    if not folder.is_dir():
        raise ClusterError(f"{working_dir}: the working directory must be a folder")
    if not spec_path.is_relative_to(folder):
        raise ClusterError(
            f"{working_dir}: the working directory must hold the spec, which is {spec_path}",
            hint="move the spec into it, or leave the working directory out",
        )
    return folder


def files(folder: Path, *, leave: Iterable[Path] = ()) -> Iterator[Path]:
    """The files that travel, without what lies in the folders named in `leave`; links are followed."""
    left = {path.resolve() for path in leave if path.resolve().is_relative_to(folder) and path.resolve() != folder}
    for path in _listed_by_git(folder) or [folder]:
        if not _LEFT_BEHIND.isdisjoint(path.relative_to(folder).parts) or not left.isdisjoint(path.resolve().parents):
            continue
        if path.is_dir():
            yield from _walk(path, left)
        elif path.is_file():
            yield path


def pack(folder: Path, archive: Path, *, leave: Iterable[Path] = ()) -> int:
    """Write the folder's files to a zip archive and return how many they are.

    Raises ClusterError when a file cannot be read, and as soon as they exceed `LIMIT_BYTES` together.
    """
    try:
        sizes = _measured(folder, files(folder, leave=leave))
        with zipfile.ZipFile(archive, "w") as bundle:
            for path in sorted(sizes):
                bundle.writestr(_entry(path, folder), path.read_bytes())
    except OSError as error:
        raise ClusterError(f"{folder}: the working directory cannot be packed: {error}") from None
    return len(sizes)


def _entry(path: Path, folder: Path) -> zipfile.ZipInfo:
    # A fixed time, since the archive is known by the hash of its bytes.
    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
    entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _measured(folder: Path, paths: Iterable[Path]) -> dict[Path, int]:
    sizes: dict[Path, int] = {}
    total = 0
    for path in paths:
        sizes[path] = path.stat().st_size
        total += sizes[path]
        if total > LIMIT_BYTES:
            raise _too_large(folder, sizes)
    return sizes


def _too_large(folder: Path, sizes: dict[Path, int]) -> ClusterError:
    largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
    named = ", ".join(f"{path.relative_to(folder)} ({sizes[path] / MIB:.1f} MiB)" for path in largest)
    return ClusterError(
        f"{folder}: the working directory must be at most {LIMIT_BYTES // MIB} MiB to be sent, found more: {named} ...",
        hint="list in .gitignore what the trials do not need, or give a smaller folder with --working-dir",
    )


def _listed_by_git(folder: Path) -> list[Path]:
    """What git tracks or would add below the folder; nothing where git is absent or the folder is in no work tree."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return [folder / os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]


def _walk(top: Path, left: set[Path], above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file below `top`; `above` are the folders on the way here, which a link may lead back to."""
    real = top.resolve()
    if real in above or real in left:
        return
    for path in top.iterdir():
        if path.name in _LEFT_BEHIND:
            continue
        if path.is_dir():
            yield from _walk(path, left, above | {real})
        elif path.is_file():
            yield path
