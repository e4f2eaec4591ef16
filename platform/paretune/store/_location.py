"""Where studies live: a folder of a local disk, or below a URI, behind the same few operations.

Only small files of our own (the lease, the training function) pass through here; tables are deltalake's business.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from paretune.errors import StoreLocationError, StudyNotFoundError

_COLOUR = re.compile(r"\x1b\[\d*m")
_LONGEST = 400  # characters of an error's text: some list all that would have been possible
_FRAMES = re.compile(r"^\s+\d+: ", re.MULTILINE)


class Folder:
    """A folder: `uri` is an absolute path or a URI, `path` the local path or None.

    Files are named by their path inside the folder. Raises OSError as `open` does.
    """

    def __init__(self, location: str) -> None:
        parts = urlsplit(location)
        if parts.scheme == "file":
            location = unquote(parts.path)
        self.path: Path | None = None
        if parts.scheme in ("", "file"):
            self.path = Path(location).expanduser().absolute()
            location = os.path.normpath(self.path)
        self.uri = location.rstrip("/")

    def __truediv__(self, name: str) -> Folder:
        return Folder(f"{self.uri}/{name}")

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None when there is no such file."""
        try:
            if self.path is not None:
                return (self.path / name).read_bytes()
            return bytes(self._remote().open_input_file(name).read())
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Create or replace a file in one step: a reader sees the old bytes or the new ones."""
        if self.path is None:
            stream = self._remote().open_output_stream(name, None)
            stream.write(data)
            stream.close()  # an object appears when its upload is complete
            return
        self.path.mkdir(parents=True, exist_ok=True)
        part = self.path / f".{name}.{os.getpid()}"
        part.write_bytes(data)
        part.replace(self.path / name)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        if self.path is not None:
            (self.path / name).unlink(missing_ok=True)
        elif self.read(name) is not None:
            self._remote().delete_file(name)

    def remove_all(self) -> None:
        """Delete the folder and all that is in it."""
        if self.path is not None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self._remote().delete_dir("")

    def folders(self) -> list[str]:
        """The names of the folders in it, sorted; none when it does not exist."""
        if self.path is not None:
            return sorted(p.name for p in self.path.iterdir() if p.is_dir()) if self.path.is_dir() else []
        found = self._remote().get_file_info_selector("", True, False)
        return sorted(info.base_name for info in found if info.type.name == "Directory")

    def _remote(self) -> Any:
        # The one private name of deltalake in use: its public wrapper for pyarrow (1.6) cannot write with pyarrow 26.
        from deltalake._internal import DeltaFileSystemHandler

        return DeltaFileSystemHandler(table_uri=f"{self.uri}/", options=None, known_sizes=None)


def study_folder(location: str, name: str) -> Folder:
    """The folder of a study; a name with path characters is refused, so that none leads out of the store."""
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise StudyNotFoundError(
            f"{location}: a study's name has no path characters, got {name!r}",
            hint="give the folder of the store as store, and the study's name alone",
        )
    return Folder(location) / name


def studies_in(location: str) -> list[str]:
    """The names of the folders of a store that may be studies; none when it does not exist."""
    try:
        return [name for name in Folder(location).folders() if not name.startswith(".")]
    except Exception as error:  # credentials, network, a bad URI: deltalake has no common class for them
        raise StoreLocationError(f"{location}: must be a store that can be read: {brief(error)}") from error


def checkpoint_root(folder: str) -> str:
    """Where the checkpoints of the study in `folder` belong: a path or URI like `folder` itself."""
    return (Folder(folder) / "checkpoints").uri


def keep_text(folder: str, place: str, name: str, text: str) -> str:
    """Write a text file beside the tables of the study in `folder`; returns where it lies."""
    target = Folder(folder) / place
    target.write(name, text.encode())
    return f"{target.uri}/{name}"


def brief(error: BaseException) -> str:
    """An error of deltalake or the system on one line, without the colours and native stack frames deltalake adds."""
    text = _FRAMES.split(_COLOUR.sub("", str(error)))[0]
    line = " ".join(text.replace("↳", ":").split()).replace(" : ", ": ") or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
