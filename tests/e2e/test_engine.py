"""Studies on a real local Ray: inline and in gangs, going well and going wrong."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import loops
import numpy as np
import psutil
import pytest
import ray.train
import torch_trainer_loops

import paretune as pt
from paretune.log import Log
from paretune.records import Entry, Event
from paretune.study import StudySpec

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_afterwards")]

SPACE = {"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)}
OBJECTIVES = {"error": "minimize", "cost": "minimize"}


def search(train: Any, store: Path, **settings: Any) -> pt.Study:
    settings = {"algorithm": "random", "trials": 4, "seed": 3, "name": "study", "progress": False, **settings}
    return pt.search(train, space=SPACE, objectives=OBJECTIVES, store=store, **settings)


def at_a_time(study: pt.Study) -> int:
    """The most trials that ran at a time."""
    changes = {"started": 1, "completed": -1}
    kinds = [getattr(entry, "kind", "report") for entry in study.log.entries]
    return max(accumulate(changes.get(kind, 0) for kind in kinds))


class Probe:
    """A listener that calls functions, each once, at the n-th report."""

    def __init__(self, actions: Mapping[int, Callable[[], None]]) -> None:
        self.actions, self.reports = actions, 0

    def on_start(self, spec: StudySpec, log: Log) -> None: ...

    def on_entry(self, entry: Entry) -> None:
        if not hasattr(entry, "kind"):
            self.reports += 1
            self.actions.get(self.reports, lambda: None)()

    def on_end(self) -> None: ...


def test_a_one_worker_study_ends_in_tables_and_a_report(tmp_path: Path) -> None:
    study = search(loops.quick, tmp_path, trials=6, concurrency=2)
    table = study.to_pandas()
    assert list(table["trial"]) == list(range(6))
    assert set(table["status"]) == {"completed"}
    assert (table["error"] == (table["x"] - 0.3) ** 2 + 0.5).all()
    assert (table["resource"] == 2).all()
    front = study.front()
    assert front
    assert all(
        not (t.metrics["error"] < f.metrics["error"] and t.metrics["cost"] < f.metrics["cost"])
        for f in front
        for t in study.trials
    )
    assert study.best("error").metrics["error"] == table["error"].min()
    assert study.to_arrow().num_rows == 6
    assert study.report(tmp_path / "report.html").read_text().startswith("<!")


@pytest.mark.parametrize(("workers", "concurrency", "at_once"), [(2, 3, 2), (1, 1, 1)])
def test_a_torch_trainers_loop_runs_unchanged(tmp_path: Path, workers: int, concurrency: int, at_once: int) -> None:
    """In as many gangs as fit, and inline."""
    loop = torch_trainer_loops.train_func_per_worker
    study = search(loop, tmp_path, workers=workers, concurrency=concurrency, trials=4)
    assert at_a_time(study) == at_once, "two gangs of two workers fill four CPUs"
    for trial in study.trials:
        assert (trial.status, trial.reason) == ("completed", None)
        assert trial.metrics["batches"] == 8 / workers  # 64 rows, batches of 8, a share on each rank
        errors = [report.metrics["error"] for report in trial.reports]
        assert errors[2] < errors[0]
        for epoch, report in enumerate(trial.reports, 1):
            found = {key: report.metrics[key] for key in ("world", "epoch", "trial", "node", "preempted")}
            assert found == {"world": workers, "epoch": epoch, "trial": trial.id, "node": 0, "preempted": 0}
            assert all(report.metrics[key] == 1 for key in ("agreed", "ranks", "devices"))
        assert trial.reports[0].metrics["saved"] == 0
        assert trial.reports[-1].metrics["saved"] >= 1, "the last checkpoint stays, those before it may be gone"


def test_failures_are_recorded_and_the_study_goes_on(tmp_path: Path) -> None:
    study = search(loops.troubled, tmp_path, trials=16, concurrency=2)
    for trial in study.trials:
        width = trial.config["width"]
        if width > 32:
            assert trial.status == "failed"
            assert trial.reason == f"ValueError: width {width} does not fit"
            assert trial.traceback is not None
            assert "in troubled" in trial.traceback
        elif width < 4:
            assert trial.status == "diverged"
            assert trial.reason == "error is nan at report 2"
            assert math.isnan(trial.metrics["error"])
        elif width < 8:
            assert trial.status == "failed"
            assert "cost missing, got eror, error" in str(trial.reason)
        else:
            assert trial.status == "completed"
    assert {trial.status for trial in study.trials} == {"completed", "failed", "diverged"}
    assert all(trial.status == "completed" for trial in study.front())


def test_a_study_whose_first_five_trials_fail_stops(tmp_path: Path) -> None:
    with pytest.raises(pt.errors.StudyFailedError, match="the data set is not there") as caught:
        search(loops.always_failing, tmp_path, trials=20)
    assert "Traceback" in str(caught.value)
    study = pt.load("study", store=tmp_path)
    assert [trial.status for trial in study.log.ended] == ["failed"] * 5


def test_a_loop_that_never_reports_has_failed(tmp_path: Path) -> None:
    with pytest.raises(pt.errors.StudyFailedError, match=r"without a single ray\.train\.report"):
        search(loops.silent, tmp_path, trials=5)


def test_one_failing_rank_fails_its_trial_and_no_other(tmp_path: Path) -> None:
    study = search(loops.one_rank_fails, tmp_path, workers=2, trials=4)
    statuses = {trial.id: trial.status for trial in study.trials}
    wide = {trial.id for trial in study.trials if int(str(trial.config["width"])) > 16}
    assert wide == {2}, "trials before it and after it are well"
    assert statuses == {i: "failed" if i in wide else "completed" for i in range(4)}
    assert all("rank 1 ran out of luck" in str(study.log.trials[i].reason) for i in wide)


def test_watchers_end_a_trial_on_all_ranks_at_once(tmp_path: Path) -> None:
    """Rank 1 alone meets an infinite loss: the trial has diverged, and the workers go on with the next one."""
    study = search(loops.watched, tmp_path, workers=2, trials=4)
    ends = {trial.id: (trial.status, trial.reason) for trial in study.trials}
    diverged = ("diverged", "the loss is inf at step 6")
    assert ends == {i: diverged if i == 2 else ("completed", None) for i in range(4)}
    assert len({trial.metrics["pid"] for trial in study.trials if trial.id != 2}) == 1, "the workers were not restarted"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_replaced_and_its_trial_continues(tmp_path: Path, workers: int) -> None:
    marker = tmp_path / "killed"
    study = search(
        loops.killed_once, tmp_path, workers=workers, trials=2, epochs=4, config={"marker": str(marker), "sleep_s": 0.0}
    )
    assert marker.exists()
    assert [trial.status for trial in study.trials] == ["completed", "completed"]
    first = study.trials[0]
    assert first.attempt == 1
    assert [report.resource for report in first.reports] == [1, 2, 3, 4]
    assert [report.metrics["counted"] for report in first.reports] == [1, 2, 3, 4]


def test_a_trial_that_keeps_losing_its_worker_has_failed(tmp_path: Path) -> None:
    study = search(kill_myself, tmp_path, trials=1, retries=1)
    trial = study.trials[0]
    assert trial.status == "failed"
    assert "retries is 1" in str(trial.reason)
    assert trial.attempt == 1


def kill_myself(config: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_told_to_end_leaves_with_a_checkpoint_and_it_is_no_retry(tmp_path: Path) -> None:
    study = search(told_to_end, tmp_path, trials=1, retries=0)
    (trial,) = study.trials
    assert (trial.status, trial.attempt) == ("completed", 1)
    assert [report.step for report in trial.reports] == [1, 2, 3, 4], "no epoch was trained twice"
    starts = [entry for entry in study.log.entries if isinstance(entry, Event) and entry.kind == "started"]
    assert [(start.reason, start.details["checkpoint"]) for start in starts] == [
        (None, None),
        ("its process was sent SIGTERM", "00000/0-1"),
    ]


def told_to_end(config: dict[str, Any]) -> None:
    if ray.train.get_checkpoint() is None:
        os.kill(os.getpid(), signal.SIGTERM)
    loops.steady(config)


def test_trials_share_workers_but_nothing_else(tmp_path: Path) -> None:
    """The same random numbers in every study of one seed, in a gang as inline."""
    tables = [
        search(loops.environment, tmp_path, workers=workers, trials=3, name=f"study-{i}").to_pandas()
        for i, workers in enumerate([1, 1, 2])
    ]
    random_numbers = ["error", "numpy", "torch"]
    for table in tables:
        assert table["pid"].nunique() == 1
        assert (table[random_numbers].nunique() == 3).all()
        assert (table["cost"] == 0).all()
        assert table[["trained", "groups"]].drop_duplicates().shape == (1, 2), "bit for bit"
        assert table[random_numbers].equals(tables[0][random_numbers])


@pytest.mark.slow
def test_the_hundredth_trial_of_a_gang_is_like_the_first(tmp_path: Path) -> None:
    """Bit for bit, though every trial leaves a mess; and the workers do not grow."""
    table = search(loops.environment, tmp_path, workers=2, trials=100).to_pandas()
    assert set(table["status"]) == {"completed"}
    assert table[["trained", "groups", "cost", "pid"]].drop_duplicates().shape[0] == 1
    resident = table["resident"].to_numpy() / 2**20
    grown_mib = np.polyfit(np.arange(20, 100), resident[20:], 1)[0]
    print(f"{grown_mib:.4f} MiB per trial, from {resident[20]:.1f} to {resident[-1]:.1f} MiB")
    assert grown_mib < 0.1


@pytest.mark.parametrize("workers", [1, 2])
def test_isolated_trials_have_fresh_workers(tmp_path: Path, workers: int) -> None:
    study = search(loops.environment, tmp_path, workers=workers, trials=2, isolation="trial")
    assert [trial.status for trial in study.trials] == ["completed"] * 2
    assert study.to_pandas()["pid"].nunique() == 2


@pytest.mark.parametrize(
    "algorithm", ["gp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("random", "sobol"))]
)
def test_a_resumed_study_suggests_what_would_have_come_anyway(tmp_path: Path, algorithm: str) -> None:
    search(loops.quick, tmp_path, algorithm=algorithm, trials=6)
    resumed = pt.load("study", store=tmp_path).resume(trials=14, progress=False)
    straight = pt.simulate(resumed.spec, loops.known, workers=1, reports=[1, 2])
    assert [t.suggestion.proposal for t in resumed.trials] == [t.suggestion.proposal for t in straight.trials]
    assert resumed.spec.search.trials == 14
    assert pt.load("study", store=tmp_path).spec.search.trials == 14


def test_every_suggestion_of_an_asynchronous_study_follows_from_its_log(tmp_path: Path) -> None:
    study = search(loops.quick, tmp_path, algorithm="gp", trials=10, concurrency=2)
    assert any(trial.suggestion.pending for trial in study.trials)
    again = study.replay()
    assert (again.suggestions, again.difference) == (10, None)


def test_an_interrupt_ends_cleanly_and_the_study_can_go_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_listening(loops.steady, tmp_path, Probe({6: interrupt}), workers=1, trials=4, epochs=4)
    stopped = pt.load("study", store=tmp_path)
    assert 1 <= len(stopped.log.ended) < 4
    resumed = stopped.resume(progress=False)
    assert [t.status for t in resumed.trials] == ["completed"] * 4
    undisturbed = pt.Optimizer(SPACE, OBJECTIVES, algorithm="random", seed=3).ask(4)
    assert [t.config for t in resumed.trials] == [suggestion.config for suggestion in undisturbed]
    assert all([r.resource for r in t.reports] == [1, 2, 3, 4] for t in resumed.trials)


def test_a_killed_gang_is_started_again_and_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    """The actor between trial actor and workers dies with all of them; its trial goes on from its checkpoint, and so
    does the one that is interrupted after it. Its workers had every CPU, and Ray's own cleaner dies as well."""
    listener = Probe({6: _kill_gangs, 12: interrupt})
    with pytest.raises(KeyboardInterrupt):
        run_listening(loops.steady, tmp_path, listener, workers=2, trials=8, epochs=4, cpus=2)
    stopped = pt.load("study", store=tmp_path)
    assert 2 <= len(stopped.log.ended) < 8
    assert sum(trial.attempt for trial in stopped.trials) == 1
    study = stopped.resume(progress=False)
    assert [trial.status for trial in study.trials] == ["completed"] * 8
    assert all([r.metrics["counted"] for r in t.reports] == [1, 2, 3, 4] for t in study.trials)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _kill_gangs() -> None:
    family = {" ".join(process.cmdline()): process for process in psutil.Process().children(recursive=True)}
    lost = [process for name, process in family.items() if name.startswith(("ray::Gang", "ray::PlacementGroupCleaner"))]
    assert len(lost) == 2
    for process in lost:
        process.kill()


def run_listening(train: Any, store: Path, listener: Probe, **settings: Any) -> pt.Study:
    from paretune import flow, study

    trials = settings.pop("trials")
    spec = study.build(
        {
            "name": "study",
            "trainable": "loops:steady",
            "objectives": OBJECTIVES,
            "space": SPACE,
            "search": {"algorithm": "random", "trials": trials, "seed": 3},
            "train": settings,
            "store": str(store),
        },
        where="test",
    )
    return flow.run(spec, train=train, listeners=[listener])


def test_workers_that_cannot_be_placed_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(
        pt.errors.ResourceError, match="64 workers of 1 CPU each cannot be placed, the cluster has 4 CPU"
    ):
        search(loops.quick, tmp_path / "store", workers=64)
    assert not (tmp_path / "store").exists()


def test_concurrency_is_cut_to_what_fits(tmp_path: Path) -> None:
    study = search(loops.quick, tmp_path, concurrency=100, trials=8)
    assert [trial.status for trial in study.trials] == ["completed"] * 8
    assert at_a_time(study) <= 4  # CPUs


def test_a_finished_study_is_returned_as_it_is_and_another_one_of_its_name_is_refused(tmp_path: Path) -> None:
    before = search(loops.quick, tmp_path, trials=2).log.position
    assert search(loops.quick, tmp_path, trials=2).log.position == before
    with pytest.raises(pt.errors.StudyExistsError, match=r"space\.x\.high: 1\.0 before, 2\.0 now"):
        pt.search(
            loops.quick,
            space={**SPACE, "x": pt.Float(0, 2)},
            objectives=OBJECTIVES,
            algorithm="random",
            trials=2,
            seed=3,
            store=tmp_path,
            name="study",
            progress=False,
        )


def test_it_runs_outside_the_main_thread(tmp_path: Path) -> None:
    results: list[pt.Study] = []
    thread = threading.Thread(target=lambda: results.append(search(loops.quick, tmp_path, trials=2)))
    thread.start()
    thread.join()
    assert [trial.status for trial in results[0].trials] == ["completed", "completed"]


def test_a_target_ends_the_study_and_another_one_lets_it_go_on(tmp_path: Path) -> None:
    study = search(loops.quick, tmp_path, trials=12, target={"error": 0.51})
    last = study.trials[-1]
    assert len(study.trials) == 2
    assert last.metrics["error"] <= 0.51
    assert all(trial.metrics["error"] > 0.51 for trial in study.trials[:-1])
    (closed,) = [entry for entry in study.log.entries if getattr(entry, "kind", None) == "closed"]
    assert closed.reason == f"target reached: error {last.metrics['error']:.4g} (trial {last.id})"  # type: ignore[union-attr]
    assert len(study.resume(trials=14, progress=False).trials) == len(study.trials), "its target is still reached"
    assert len(study.resume(target={}, trials=6, progress=False).trials) == 6
