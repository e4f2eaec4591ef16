"""Which folder travels with a study, and which of its files."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from paretune.errors import ClusterError
from paretune.submit import working_dir
from paretune.submit.working_dir import choose, files, pack


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder: Path, **options: list[Path]) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in files(folder, **options)}


def test_the_current_folder_travels_if_it_holds_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "project/specs/a.yaml", "elsewhere/b.yaml")
    monkeypatch.chdir(tmp_path / "project")
    assert choose(Path("specs/a.yaml"), None) == tmp_path / "project"
    assert choose(tmp_path / "elsewhere" / "b.yaml", None) == tmp_path / "elsewhere"
    assert choose(Path("specs/a.yaml"), Path("specs")) == tmp_path / "project" / "specs"


def test_a_folder_asked_for_must_hold_the_spec(tmp_path: Path) -> None:
    write(tmp_path, "project/a.yaml", "elsewhere/b.yaml")
    with pytest.raises(ClusterError, match="must hold the spec"):
        choose(tmp_path / "elsewhere" / "b.yaml", tmp_path / "project")
    with pytest.raises(ClusterError, match="must be a folder"):
        choose(tmp_path / "project" / "a.yaml", tmp_path / "project" / "a.yaml")


def test_results_environments_and_caches_stay_behind(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "code/train.py", "code/__pycache__/train.pyc", ".venv/bin/python", "paretune-results/x")
    write(tmp_path, "mine/results", "mine/data")
    assert names(tmp_path) == {"a.yaml", "code/train.py", "mine/results", "mine/data"}
    assert names(tmp_path, leave=[tmp_path / "mine"]) == {"a.yaml", "code/train.py"}


@pytest.mark.parametrize("leave", [".", "..", "/", "s3:/bucket/studies"])
def test_a_store_elsewhere_or_here_leaves_nothing_behind(tmp_path: Path, leave: str) -> None:
    write(tmp_path, "a.yaml")
    assert names(tmp_path, leave=[tmp_path / leave]) == {"a.yaml"}


def test_git_says_what_is_ignored(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    write(tmp_path, "specs/a.yaml", "specs/tracked.py", "specs/new.py", "specs/data/big.bin", "outside.py")
    (tmp_path / ".gitignore").write_text("data/\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "specs/tracked.py"], check=True)
    assert names(tmp_path / "specs") == {"a.yaml", "tracked.py", "new.py"}
    (tmp_path / "specs" / "tracked.py").unlink()
    assert names(tmp_path / "specs") == {"a.yaml", "new.py"}


@pytest.mark.parametrize("in_git", [False, True])
def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path, in_git: bool) -> None:
    write(tmp_path, "real/module.py", "package/__init__.py")
    (tmp_path / "package" / "linked").symlink_to("../real")
    (tmp_path / "real" / "back").symlink_to("../real")
    if in_git:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    found = names(tmp_path)
    assert {"real/module.py", "package/__init__.py", "package/linked/module.py"} <= found
    assert all(name.count("back") <= 1 for name in found)


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project, "b.py", "a.yaml")
    (project / "b.py").chmod(0o755)
    assert pack(project, tmp_path / "one.zip") == 2
    (project / "a.yaml").touch()
    pack(project, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as bundle:
        assert bundle.namelist() == ["a.yaml", "b.py"]
        assert bundle.read("a.yaml") == b"a.yaml"
        assert bundle.getinfo("b.py").external_attr >> 16 == 0o755


def test_too_large_a_folder_is_refused_with_the_culprits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_dir, "LIMIT_BYTES", 3 * working_dir.MIB)
    write(tmp_path, "a.yaml")
    (tmp_path / "big.bin").write_bytes(bytes(3 * working_dir.MIB))
    with pytest.raises(ClusterError, match=r"at most 3 MiB to be sent, found more: big.bin \(3.0 MiB\)") as caught:
        pack(tmp_path, tmp_path / "out.zip")
    assert ".gitignore" in str(caught.value.hint)
    assert not (tmp_path / "out.zip").exists()
