"""One local Ray for all end-to-end tests that can share it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """Ray's sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="pt", dir="/tmp"))
    yield folder
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def local_ray(short_folder: Path) -> None:
    """Four CPUs. It goes on for the modules that follow, up to one that shuts it down to start its own."""
    if not ray.is_initialized():
        ray.init(address="local", num_cpus=4, _temp_dir=str(short_folder), log_to_driver=False, logging_level="ERROR")


@pytest.fixture
def free_afterwards(local_ray: None) -> Iterator[None]:
    """The test must leave every CPU and placement group of the cluster free."""
    yield
    deadline = time.monotonic() + 30
    while not _all_free() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]
    assert _open_placement_groups() == {}


def _all_free() -> bool:
    return ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"] and not _open_placement_groups()


def _open_placement_groups() -> dict[str, Any]:
    table: dict[str, Any] = ray.util.placement_group_table()
    return {key: group for key, group in table.items() if group["state"] != "REMOVED"}
