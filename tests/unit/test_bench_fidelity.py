"""The learning-curve benchmark: tasks, the simulated cluster, judging, and what is kept."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fidelity import cluster, judge, ours, references, schedule, tasks
from benchmarks.fidelity.analysis import figure, scores, tables
from benchmarks.fidelity.run import LENGTHS, Report, Run
from benchmarks.fidelity.tasks import CurveTask
from benchmarks.optimizers.harness import records
from benchmarks.optimizers.harness.client import PeerError
from benchmarks.optimizers.spaces import Space, real


def falling(config: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """x + 1, x + 1/2, x + 1/3, x + 1/4; it diverges from the second epoch on where x is above 8."""
    curve = config["x"] + 1 / np.arange(1, 5)
    return np.where(np.arange(4) >= 1, np.nan, curve) if config["x"] > 8 else curve


LINE = CurveTask(name="line", space=Space([real("x", 0, 10)]), epochs=4, curve=falling, epoch_s=lambda c: 1 + c["x"])


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> CurveTask:
    monkeypatch.setattr("benchmarks.fidelity.run.find", lambda name: [LINE])
    return LINE


class Script:
    """A search that asks for what it was given, then for x = 5, whole; it stops what `stops` holds."""

    def __init__(self, asks: list[tuple[float, int]], stops: tuple[int, ...] = ()) -> None:
        self.asks, self.stops = list(asks), stops
        self.told: list[tuple[str, int, int, list[float] | None]] = []
        self.asked = 0

    def call(self, request: str, **fields: Any) -> dict[str, Any]:
        if request == "ask":
            x, until = self.asks.pop(0) if self.asks else (5.0 + self.asked / 100, 4)
            self.asked += 1
            return {"id": self.asked - 1, "config": {"x": x}, "until": until}
        self.told.append((request, fields["id"], fields["epoch"], fields["values"]))
        return {"go_on": fields["id"] not in self.stops}


# -- tasks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(tasks.tasks()))
def test_a_task_gives_positive_curves_everywhere(name: str) -> None:
    task, rng = tasks.tasks()[name], random.Random(0)
    for _ in range(40):
        config = task.space.sample(rng)
        true_em, seconds = task.true(config), task.epoch_s(config)
        assert true_em.shape == (task.epochs, task.objectives)
        finite_e = np.isfinite(true_em).all(axis=1)
        assert (true_em[finite_e] > 0).all()
        assert not np.any(np.diff(finite_e.astype(int)) > 0), "what has diverged stays so"
        assert seconds > 0


def test_a_training_is_the_same_whoever_asks_and_another_one_with_another_seed() -> None:
    task = tasks.tasks()["noisy"]
    config = task.space.sample(random.Random(0))
    first, again = task.train(config, seed=1), task.train(dict(reversed(config.items())), seed=1)
    assert np.array_equal(first.seen_em, again.seen_em)
    assert np.array_equal(first.true_em, task.train(config, seed=2).true_em)
    assert not np.array_equal(first.seen_em, task.train(config, seed=2).seen_em)


def test_noise_has_the_size_that_is_stated() -> None:
    task, rng = tasks.tasks()["noisy"], random.Random(0)
    trained = [task.train(task.space.sample(rng), seed=0) for _ in range(2000)]
    logs_ne = np.array([np.log(each.seen_em / each.true_em)[:, 0] for each in trained])
    sd = np.hypot(task.trial_noise, task.epoch_noise)
    assert logs_ne[:, 0].std() == pytest.approx(sd, rel=0.08)  # five standard errors of 2,000 draws
    assert (logs_ne - logs_ne.mean(axis=1, keepdims=True)).std() == pytest.approx(
        task.epoch_noise * np.sqrt(26 / 27), rel=0.02
    )


def test_the_references_are_of_these_tasks() -> None:
    known = references.load()
    assert set(known) == set(tasks.tasks())
    for name, reference in known.items():
        better = np.less if tasks.tasks()[name].objectives == 1 else np.greater
        for random_search in reference.random.values():
            assert better(reference.best, random_search).all()


# -- the cluster -------------------------------------------------------------------------------------------------------


def test_workers_train_side_by_side_until_the_time_is_over(line: CurveTask) -> None:
    run = Run(line, 0, workers=2)
    script = Script([(0.0, 4), (1.0, 2)])
    reports = list(cluster.search(script, run))
    assert [(r.time_s, r.config["x"], r.epoch) for r in reports[:5]] == [
        (1, 0.0, 1),
        (2, 1.0, 1),  # the later started of equals comes later
        (2, 0.0, 2),
        (3, 0.0, 3),
        (4, 1.0, 2),
    ]
    assert script.told[:3] == [
        ("report", 0, 1, [1.0]),
        ("report", 1, 1, [2.0]),
        ("report", 0, 2, [0.5]),
    ]
    assert ("tell", 1, 2, [1.5]) in script.told
    assert reports[-1].time_s <= run.end_s < reports[-1].time_s + 2 * 11
    assert run.end_s == pytest.approx(LENGTHS * 4 * 6, rel=0.05)  # x is 5 on average


def test_a_checkpoint_is_gone_on_from_and_what_is_known_costs_nothing(line: CurveTask) -> None:
    reports = list(cluster.search(Script([(0.0, 2), (0.0, 2), (0.0, 4), (2.0, 4)]), Run(line, 0, workers=1)))
    assert [(r.time_s, r.epoch) for r in reports[:6]] == [(1, 1), (2, 2), (2, 2), (3, 3), (4, 4), (7, 1)]


def test_a_stopped_training_and_a_diverged_one_free_their_worker(line: CurveTask) -> None:
    script = Script([(0.0, 4), (9.0, 4)], stops=(0,))
    reports = list(cluster.search(script, Run(line, 0, workers=1)))
    assert [(r.time_s, r.config["x"], r.epoch) for r in reports[:3]] == [(1, 0.0, 1), (11, 9.0, 1), (21, 9.0, 2)]
    assert script.told[:5] == [
        ("report", 0, 1, [1.0]),
        ("tell", 0, 1, [1.0]),
        ("report", 1, 1, [pytest.approx(10.0)]),
        ("tell", 1, 2, None),
        ("report", 2, 1, [pytest.approx(6.02)]),
    ]


def test_a_search_that_asks_for_what_is_known_for_ever_is_ended(line: CurveTask) -> None:
    with pytest.raises(PeerError, match="trained as far before"):
        list(cluster.search(Script([(0.0, 4)] * 2000), Run(line, 0, workers=1)))


def diverged(report: Report) -> bool:
    return report.config["x"] > 8 and report.epoch > 1  # of which paretune's log has no report


def test_our_arms_and_others_see_the_same_cluster(line: CurveTask) -> None:
    """Random search on both: what is reported of a configuration, and how long it takes, is the same."""
    run = Run(line, 3, workers=2)
    reports = ours.search("random+none", run)
    first = [report for report in reports if report.epoch == 1]
    begun = sorted(first, key=lambda report: report.time_s - LINE.epoch_s(report.config))
    again = list(cluster.search(Script([(report.config["x"], 4) for report in begun]), Run(line, 3, workers=2)))
    until_s = run.end_s - 11  # the script does not know of the last trainings, which had come to no report
    ours_by_then = [report for report in reports if report.time_s < until_s]
    theirs = [report for report in again if report.time_s < until_s and not diverged(report)]
    assert [(report.config, report.epoch) for report in theirs] == [(r.config, r.epoch) for r in ours_by_then]
    assert [report.time_s for report in theirs] == pytest.approx([report.time_s for report in ours_by_then])


def test_settings_of_our_arms(line: CurveTask) -> None:
    """Three rungs at 1, 2 and 4: what is stopped at the first one is stopped there."""
    reports = ours.search("random+asha:reduction_factor=2", Run(line, 0, workers=2))
    reached: dict[float, int] = {}
    for report in reports:
        reached[report.config["x"]] = report.epoch
    assert {1, 2, 4} <= set(reached.values())


# -- judging -----------------------------------------------------------------------------------------------------------


def test_the_incumbent_is_by_what_was_observed_and_judged_in_two_ways(line: CurveTask) -> None:
    run = Run(line, 0, workers=1)
    reports = [
        Report(1.0, {"x": 3.0}, 1),
        Report(2.0, {"x": 2.9}, 1),
        Report(3.0, {"x": 3.5}, 4),  # 3.75 is better than 3.9
        Report(4.0, {"x": 9.0}, 1),  # worse, and diverges
    ]
    kept = judge.line(run, reports, version="1", wall_s=0.0)
    assert [entry[1:] for entry in kept["best"]] == [[3.25, 4.0], [3.15, 3.9], [3.75, 3.75]]
    assert kept["best"][1][0] == pytest.approx(2.0 / run.end_s, rel=1e-5)
    assert (kept["configs"], kept["whole"]) == (4, 1)
    diverging = judge.line(run, [Report(1.0, {"x": 9.0}, 1)], version="1", wall_s=0.0)
    assert diverging["best"] == [[pytest.approx(1 / run.end_s, rel=1e-5), None, 10.0]]


def test_of_several_objectives_the_hypervolume_of_the_observed_front(monkeypatch: pytest.MonkeyPatch) -> None:
    def curve(config: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        return np.stack([falling(config), np.full(4, 10 - config["x"])], axis=1)

    task = CurveTask(
        name="pair",
        space=LINE.space,
        epochs=4,
        curve=curve,
        epoch_s=LINE.epoch_s,
        objectives=2,
        reference=(10.0, 10.0),
    )
    monkeypatch.setattr("benchmarks.fidelity.run.find", lambda name: [task])
    reports = [Report(1.0, {"x": 4.0}, 1), Report(2.0, {"x": 6.0}, 4), Report(3.0, {"x": 5.0}, 1)]
    kept = judge.line(Run(task, 0, 1), reports, version="1", wall_s=0.0)
    assert [entry[1:] for entry in kept["best"]] == [
        [5.75 * 4, 5 * 4],  # (4.25, 6) in the end, (5, 6) when seen
        [5.75 * 4 + 3.75 * 2, 5 * 4 + 3.75 * 2],  # and (6.25, 4)
        [5.75 * 4 + 4.75 + 3.75, 5 * 4 + 4 + 3.75],  # (5.25, 5) in the end, (6, 5) when seen
    ]


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_runs_are_kept_and_not_made_twice_and_reported(tmp_path: Path) -> None:
    settings = schedule.Settings(results=tmp_path / "results", workers=8)
    arms, few = ["random+none", "random+asha"], tasks.find("sprinters")
    todo = list(schedule.jobs(arms, few, [0, 1], settings))
    assert [(job.seed, job.arm) for job in todo] == [(seed, arm) for seed in (0, 1) for arm in arms]
    said: list[str] = []
    schedule.run(todo, settings, say=said.append)
    assert len(said) == 4
    assert not list(schedule.jobs(arms, few, [0, 1], settings))
    assert records.done(settings.file("random+asha")) == {("sprinters", 0), ("sprinters", 1)}
    board = scores.board(tmp_path / "results", 8, 1, "at the full resource")
    assert board.complete() == []
    board = figure._alone(board, few[0])
    assert set(board.complete()) == set(arms)
    assert all(np.shape(regrets) == (2, 3) for arm in arms for regrets in board.of(arm))
    assert tables.document(tmp_path / "results").startswith("# Searches")


def test_a_peer_is_asked_for_the_tasks_it_serves() -> None:
    settings = schedule.Settings(results=Path("nowhere"))
    every = list(tasks.tasks().values())
    (one,) = schedule.jobs(["dehb"], every, [0], settings)
    (two,) = schedule.jobs(["syne-moasha"], every, [0], settings)
    assert set(one.tasks) | set(two.tasks) == set(tasks.tasks())
    assert set(two.tasks) == {"network_size", "tradeoff"}
