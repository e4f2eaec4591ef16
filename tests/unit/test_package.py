"""The built package: whole, and at work outside a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of this checkout, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


def tracked(*folders: str) -> set[str]:
    """What belongs to the package: its files, and those of the linked folders, by their names inside it."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{folder.removeprefix('platform/')}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    linked = {f"paretune/{name}" for name in tracked("trainables", "search_spaces", "cluster")}
    assert names == tracked("platform/paretune") | linked
    assert {"paretune/py.typed", "paretune/trainables/cnn.py", "paretune/search_spaces/cnn.yaml"} <= names
    assert any(name.startswith("paretune/cluster/") for name in names)


def test_the_source_distribution_holds_what_a_checkout_has(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    expected = {
        "Makefile",
        "constraints.txt",
        "trainables/cnn.py",
        "platform/paretune/trainables/cnn.py",
        "tests/conftest.py",
    }
    assert expected <= names
    assert not any(member.issym() for member in members)
    assert not any(name.startswith(("paretune-results", ".venv")) for name in names)


def test_the_wheel_works_outside_a_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(sys.executable, "-c", "import paretune; print(paretune.__file__)").strip() == str(
        site / "paretune/__init__.py"
    )
    assert "xpatch" in run(str(site / "bin" / "paretune"), "trainables")
    assert str(site) in run(sys.executable, "-m", "paretune", "validate", "cnn").replace("\n", "")
    where = "import paretune.trainables as t; print(t.__file__)"
    assert run(sys.executable, "-c", where).strip() == str(site / "paretune/trainables/__init__.py")
