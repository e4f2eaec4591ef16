"""Where a study was made: versions, commit, host."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import time

from paretune import __version__
from paretune.records import Provenance

_PACKAGES = ("ray", "torch", "botorch", "gpytorch", "optuna", "numpy", "scipy", "deltalake", "pyarrow")


def collect() -> Provenance:
    """The provenance of a study that is made here and now."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return Provenance(
        created_s=time.time(),
        paretune=__version__,
        versions=versions,
        git_commit=_git_commit(),
        host=platform.node(),
    )


def _git_commit() -> str | None:
    """The commit of the current folder's repository, with a + when it has uncommitted changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):  # no git, or no repository: nothing to record
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
