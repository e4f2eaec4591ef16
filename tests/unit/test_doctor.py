"""What `paretune doctor` finds: each check on an environment that is well and on one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from paretune.cli import _checks, main
from paretune.cli._checks import Finding


def test_this_environment_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--store", str(tmp_path)])
    out = capsys.readouterr().out
    assert left.value.code == 0, out
    assert "✗" not in out
    assert "torch" in out


def test_something_broken_gives_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checks, "torch_build", lambda: Finding("torch", "ok", ""))  # seconds of importing, seen above
    monkeypatch.setattr(_checks, "ray_import", lambda: Finding("ray", "ok", ""))
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--store", str(tmp_path / "file" / "store")])
    out = capsys.readouterr().out
    assert left.value.code == 1
    assert "✗ store" in out
    assert "hint: choose another folder with --store" in out


@pytest.mark.slow
@pytest.mark.ray
def test_deep_starts_ray() -> None:
    finding = _checks.ray_start()
    assert finding.state == "ok", finding


@pytest.mark.parametrize(
    ("line", "state", "found"),
    [
        ("numpy>=1", None, ""),
        ("numpy>=99", "broken", "but >=99 is needed"),
        ("nonsense-package", "broken", "is not installed"),
        ("nonsense-package; python_version < '3'", None, ""),
    ],
)
def test_packages(line: str, state: str | None, found: str) -> None:
    finding = _checks._package(Requirement(line))
    if state is None:
        assert finding is None
        return
    assert finding is not None
    assert finding.state == state
    assert found in finding.found
    assert finding.hint == f"pip install '{Requirement(line)}'"


def test_shared_memory_smaller_than_ray_wants(tmp_path: Path) -> None:
    assert _checks.shared_memory(str(tmp_path), memory=1).state == "ok"
    small = _checks.shared_memory(str(tmp_path), memory=10**18)
    assert small.state == "warning"
    assert small.hint is not None
    assert "--shm-size=" in small.hint
    assert _checks.shared_memory(str(tmp_path / "nowhere")).state == "warning"


def test_niceness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_worker_niceness", raising=False)
    assert _checks.niceness().state == "ok"
    monkeypatch.setenv("RAY_worker_niceness", "15")
    assert _checks.niceness().hint == "export RAY_worker_niceness=0"


@pytest.mark.parametrize(("value", "state"), [("1", "ok"), ("100000", "warning"), ("many", "warning")])
def test_threads(monkeypatch: pytest.MonkeyPatch, value: str, state: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert _checks.threads().state == state


def test_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PARETUNE_DATA", raising=False)
    assert _checks.data_folder().state == "ok"
    monkeypatch.setenv("PARETUNE_DATA", str(tmp_path))
    assert _checks.data_folder().state == "ok"
    monkeypatch.setenv("PARETUNE_DATA", str(tmp_path / "nowhere"))
    assert _checks.data_folder().state == "broken"


def test_a_remote_store_is_not_tried() -> None:
    assert _checks.store_place("s3://bucket/studies").state == "ok"


def test_a_broken_import_is_told_by_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "_TORCH", "raise ImportError('libcudart.so.12: cannot open')")
    finding = _checks.torch_build()
    assert finding == Finding(
        "torch",
        "broken",
        "cannot be imported: ImportError: libcudart.so.12: cannot open",
        "install it again: pip install --force-reinstall torch",
    )


def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _checks._run("import time; time.sleep(600)", 0.5) == (None, "no answer within 0.5 s")
