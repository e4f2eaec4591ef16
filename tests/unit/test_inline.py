"""A one-worker trial in this process: step by step, stopped, failing."""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import ray.train
import torch
from ray.train import Checkpoint
from torch.nn.modules.module import register_module_forward_hook

from paretune.engine import loop
from paretune.engine.inline import InlineRun
from paretune.engine.messages import Ended, Reported, Setup, Task
from paretune.engine.standstill import Patience
from paretune.engine.tune_adapters import trial_seed
from paretune.errors import DivergedError, StandstillError
from paretune.objective import Objectives


def setup(folder: Path, *, saved_by: float | None = None) -> Setup:
    return Setup(
        study="s", code=b"", path=(), objectives=Objectives.from_dict({"e": "minimize"}), constants={"epochs": 3},
        folder=str(folder), workers=1, min_workers=1, cpus=1, gpus=0, resource=None, saved_by=saved_by, retries=0,
        hang_s=None, fresh=False,
    )  # fmt: skip


def start(train: Any, folder: Path, **task: Any) -> InlineRun:
    task = {"trial": 4, "attempt": 0, "config": {"x": 1.0}, "seed": 5, **task}
    return InlineRun(setup(folder), train, Task(**task), Patience(5.0))


def counting(config: dict[str, Any]) -> None:
    for epoch in range(1, config["epochs"] + 1):
        ray.train.report({"e": config["x"] / epoch, "epoch": epoch})


def test_every_report_waits_for_its_decision(tmp_path: Path) -> None:
    went_on: list[int] = []

    def train(config: dict[str, Any]) -> None:
        for epoch in (1, 2):
            ray.train.report({"e": 1.0})
            went_on.append(epoch)

    run = start(train, tmp_path)
    assert isinstance(run.advance(), Reported)
    assert went_on == []
    assert isinstance(run.advance(), Reported)
    assert went_on == [1]
    assert run.advance() == Ended(trial=4, attempt=0, status="completed")
    assert went_on == [1, 2]


def test_reports_carry_step_resource_and_metrics(tmp_path: Path) -> None:
    run = start(counting, tmp_path, step=10, attempt=2)
    messages = [run.advance() for _ in range(4)]
    reports = [m for m in messages if isinstance(m, Reported)]
    assert [(r.step, r.resource, r.metrics["e"], r.attempt) for r in reports] == [
        (11, 1.0, 1.0, 2),
        (12, 2.0, 0.5, 2),
        (13, 3.0, 1 / 3, 2),
    ]
    assert all(r.worker_seconds >= 0 for r in reports)


def test_a_stopped_loop_leaves_through_its_own_exception_handlers(tmp_path: Path) -> None:
    path: list[str] = []

    def train(config: dict[str, Any]) -> None:
        try:
            ray.train.report({"e": 1.0})
        except Exception:
            path.append("swallowed")
        finally:
            path.append("cleaned up")
        path.append("went on")

    run = start(train, tmp_path)
    run.advance()
    run.stop()
    assert path == ["cleaned up"]


def test_a_failure_says_where_in_the_users_code(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        ray.train.report({"e": 1.0})
        raise KeyError("momentum")

    run = start(train, tmp_path)
    run.advance()
    ended = run.advance()
    assert isinstance(ended, Ended)
    assert (ended.status, ended.reason) == ("failed", "KeyError: 'momentum'")
    assert ended.traceback is not None
    assert ended.traceback.splitlines()[1].strip().startswith(f'File "{__file__}"')


def test_a_trial_that_needs_too_much_memory_says_so_and_leaves_none_behind(tmp_path: Path) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def train(config: dict[str, Any]) -> None:
        weights = torch.zeros(1000, requires_grad=True)
        held.append(weakref.ref(weights))
        circle: list[Any] = [weights]
        circle.append(circle)
        try:
            (weights * torch.empty(2**60)).sum().backward()
        except RuntimeError as error:
            raise RuntimeError("stage 0 failed") from error  # as a pipeline does

    run = start(train, tmp_path)
    end = run.advance()
    assert isinstance(end, Ended)
    assert end.status == "failed"
    assert end.reason is not None
    assert re.match(r"out of memory: .*tried to allocate 46\d+ bytes.*; \d+ MB resident in the process at", end.reason)
    assert "stage 0 failed" in str(end.traceback)
    assert held[0]() is None
    assert isinstance(start(counting, tmp_path).advance(), Reported), "the next one runs here as well"


def test_sys_exit_is_a_failure_too(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        raise SystemExit(3)

    ended = start(train, tmp_path).advance()
    assert isinstance(ended, Ended)
    assert ended.reason == "the training function called sys.exit(3)"


def test_a_loop_may_give_its_trial_up_as_diverged(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        ray.train.report({"e": 1.0})
        raise DivergedError("the reward has collapsed")

    run = start(train, tmp_path)
    run.advance()
    assert run.advance() == Ended(trial=4, attempt=0, status="diverged", reason="the reward has collapsed")


def test_checkpoints_are_copied_and_handed_back(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        last = ray.train.get_checkpoint()
        number = 0
        if last is not None:
            with last.as_directory() as folder:
                number = int(Path(folder, "number").read_text())
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        (source / "number").write_text(str(number + 1))
        ray.train.report({"e": 1.0, "number": number}, checkpoint=Checkpoint(str(source)))

    first = start(train, tmp_path / "study").advance()
    assert isinstance(first, Reported)
    assert first.checkpoint == "00004/0-1"
    second = start(train, tmp_path / "study", attempt=1, step=1, checkpoint=first.checkpoint).advance()
    assert isinstance(second, Reported)
    assert (second.metrics["number"], second.checkpoint) == (1.0, "00004/1-2")


def test_the_process_is_seeded_before_and_restored_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "before")
    drawn: list[tuple[float, float, float]] = []

    def train(config: dict[str, Any]) -> None:
        drawn.append((random.random(), float(np.random.rand()), torch.rand(1).item()))  # noqa: NPY002
        os.environ["KEPT"], os.environ["NEW"] = "changed", "1"
        os.chdir(tmp_path)
        sys.path.append("/nowhere")
        sys.argv = ["train.py"]
        logging.basicConfig(level="DEBUG", force=True, handlers=[logging.NullHandler()])
        warnings.simplefilter("ignore")
        np.seterr(all="raise")
        torch.set_num_threads(3)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.autograd.set_detect_anomaly(True)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("medium")
        torch.set_autocast_enabled("cpu", True)
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.backends.cudnn.benchmark = True
        register_module_forward_hook(lambda module, inputs, output: output + 1)

    def found() -> list[object]:
        return [
            dict(os.environ), Path.cwd(), list(sys.path), sys.argv, logging.root.level, list(logging.root.handlers),
            list(warnings.filters), np.geterr(), torch.get_num_threads(), torch.get_default_dtype(),
            torch.get_default_device(), torch.is_grad_enabled(), torch.is_anomaly_enabled(),
            torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision(),
            torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.backends.cudnn.benchmark,
            torch.nn.Identity()(torch.zeros(1)).item(),
        ]  # fmt: skip

    before = found()
    for seed in (5, 5, 6):
        assert loop.run(train, {}, seed=seed, tell=lambda outcome: outcome.status) == "completed"
        assert found() == before
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_loop_has_made_lasts_until_all_are_through_unless_it_failed(fails: bool) -> None:
    def train(config: dict[str, Any]) -> None:
        os.environ["MADE_BY_THE_LOOP"] = "1"
        if fails:
            raise OSError

    there = loop.run(train, {}, seed=0, tell=lambda outcome: "MADE_BY_THE_LOOP" in os.environ)
    assert there is not fails
    assert "MADE_BY_THE_LOOP" not in os.environ


def test_trial_seeds_differ_between_trials_and_studies() -> None:
    seeds = {trial_seed(study, trial) for study in range(20) for trial in range(50)}
    assert len(seeds) == 1000
    assert trial_seed(3, 4) == trial_seed(3, 4)


def test_a_function_that_cannot_be_loaded_fails_with_the_reason() -> None:
    code = cloudpickle.dumps(counting).replace(b"test_inline", b"tost_inline")
    outcome = loop.run(loop.load(code, ()), {}, seed=0, tell=lambda outcome: outcome)
    assert outcome.status == "failed"
    assert outcome.reason is not None
    assert "cannot be loaded on this worker: ModuleNotFoundError" in outcome.reason
    assert outcome.traceback is not None


def test_where_others_go_on_from_it_a_trial_must_have_saved_a_checkpoint(tmp_path: Path) -> None:
    task = Task(trial=4, attempt=0, config={"x": 1.0}, seed=5)
    run = InlineRun(setup(tmp_path, saved_by=2), counting, task, Patience(5.0))
    assert isinstance(run.advance(), Reported)
    ended = run.advance()
    assert isinstance(ended, Ended)
    assert "there must be one by 2, the end of the first interval" in (ended.reason or "")


def test_a_copy_that_reports_nothing_of_its_own_has_failed(tmp_path: Path) -> None:
    assert start(lambda config: None, tmp_path, step=4).advance().status == "completed"  # type: ignore[union-attr]
    ended = start(lambda config: None, tmp_path, step=4, inherited=4).advance()
    assert isinstance(ended, Ended)
    assert (ended.status, "without a single ray.train.report" in (ended.reason or "")) == ("failed", True)


def test_a_loop_that_hangs_is_given_up_with_its_stack(tmp_path: Path) -> None:
    leave = threading.Event()

    def train(config: dict[str, Any]) -> None:
        leave.wait(60)

    run = InlineRun(setup(tmp_path), train, Task(trial=4, attempt=1, config={}, seed=5), Patience(0.2))
    with pytest.raises(StandstillError, match="rank 0 has neither reported nor returned for 0 s; see ") as caught:
        run.advance()
    leave.set()
    assert "leave.wait(60)" in str(caught.value)
    assert "leave.wait(60)" in (tmp_path / "hangs" / "00004-1.txt").read_text()
