"""Whole studies of population based training: on the virtual clock, and with checkpoints on disk."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ray.train import Checkpoint

import paretune as pt
from paretune import algorithms, schedulers, winners
from paretune.cli import main
from paretune.engine import checkpoints
from paretune.engine.course import Course
from paretune.engine.messages import Ended, Reported
from paretune.engine.recorder import Recorder
from paretune.log import Log, Trial, latest
from paretune.population import Stage
from paretune.records import Entry, Event
from paretune.report import sections
from paretune.study import StudySpec, build

EPOCHS = 20


def spec(store: Path, *, keep: str = "last", trials: int = 16, **search: Any) -> dict[str, Any]:
    """Eight members and two that are replaced at each of four intervals: sixteen trials."""
    return {
        "name": "study",
        "trainable": "cnn",
        "objectives": {"error": "minimize"},
        "space": {"lr": pt.Float(0.01, 1, log=True), "width": pt.Int(1, 64)},
        "search": {
            "algorithm": "sobol", "scheduler": {"name": "pbt", "interval": 4, "tune": ["lr"]}, "trials": trials,
            "seed": 3, **search,
        },
        "train": {"epochs": EPOCHS, "keep": keep},
        "store": str(store),
    }  # fmt: skip


class Descending:
    """A loss that falls by its learning rate at each epoch, whoever's epoch it was."""

    def __call__(self, config: Any, resource: float, /) -> tuple[Mapping[str, float], float]:
        return self.along([Stage(0, 0.0, resource, config)], resource)

    def along(self, stages: Sequence[Stage], resource: float, /) -> tuple[Mapping[str, float], float]:
        ends = [*(stage.start for stage in stages[1:]), resource]
        fallen = sum(float(s.config["lr"]) * (end - s.start) for s, end in zip(stages, ends, strict=True))  # type: ignore[arg-type]
        return {"error": -fallen}, 10.0 * resource


def stops(study: pt.Study) -> Counter[float]:
    return Counter(trial.resource for trial in study.trials if trial.status == "stopped")


@pytest.mark.parametrize("workers", [1, 3, 8, 20])
def test_as_many_are_replaced_at_each_interval_however_many_workers_there_are(tmp_path: Path, workers: int) -> None:
    study = pt.simulate(spec(tmp_path), Descending(), workers=workers)
    assert stops(study) == {4.0: 2, 8.0: 2, 12.0: 2, 16.0: 2}
    assert Counter(trial.status for trial in study.trials)["completed"] == 8
    assert study.log.worker_seconds == 8 * EPOCHS * 10, "a population costs what its members' trainings do"
    assert study.replay().difference is None
    for trial in study.trials:
        start = trial.born
        assert [r.resource for r in trial.reports] == [start + i for i in range(1, len(trial.reports) + 1)]
        assert [r.step for r in trial.reports] == [r.resource for r in trial.reports]
        if trial.inherited is not None:
            parent = study.trials[trial.descent.parent]  # type: ignore[union-attr, index]
            assert (trial.inherited.trial, trial.inherited.resource) == (parent.id, start)
            assert trial.config["width"] == parent.config["width"], "only lr is tuned"
            assert trial.config["lr"] != parent.config["lr"]


def test_the_schedule_of_the_best_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = pt.simulate(spec(tmp_path), Descending(), workers=8)
    best = study.best()
    assert best.metrics["error"] == min(t.metrics["error"] for t in study.trials if t.status == "completed")
    stages = study.schedule(best)
    assert len(stages) > 1
    assert [(stages[0].start, stages[-1].end, stages[-1].trial)] == [(0.0, EPOCHS, best.id)]
    assert [a.end for a in stages[:-1]] == [b.start for b in stages[1:]]
    assert best.metrics["error"] == Descending().along(stages, EPOCHS)[0]["error"]
    assert len(study.schedule(study.trials[0])) == 1
    section = sections.schedule(study.spec, study.log)
    assert section is not None
    assert section.count("data-trial") == len(stages)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["show", study.name, "--trial", str(best.id), "--store", str(tmp_path)])
    assert f"trial {best.descent.parent} at {best.born:g}" in capsys.readouterr().out  # type: ignore[union-attr]
    assert any("no model is judged" in finding.found for finding in study.diagnose().findings)


def test_lost_members_are_replaced_and_a_resumed_study_goes_on_as_it_would_have(tmp_path: Path) -> None:
    faults = pt.Faults(failures=0.01, preemptions=0.05, stragglers=0.2)
    whole = pt.simulate(spec(tmp_path / "whole", trials=30), Descending(), workers=1, faults=faults)
    part = pt.simulate(spec(tmp_path / "parts", trials=11), Descending(), workers=1, faults=faults)
    assert any(trial.status == "failed" for trial in whole.trials)
    assert whole.replay().difference is None
    assert part.replay().difference is None
    resumed = pt.simulate(spec(tmp_path / "parts", trials=30), Descending(), workers=1, faults=faults)
    assert resumed.replay().difference is None
    assert len(resumed.trials) == 30


# -- checkpoints -------------------------------------------------------------------------------------------------------


class _Writer:
    """Commits at once."""

    committed = 0

    def append(self, entry: Entry) -> None:
        self.committed += 1

    def flush(self) -> None: ...

    def hurry(self) -> None: ...


class Played:
    """A study led by its course, whose reports come with checkpoints on disk; drivers come and go."""

    def __init__(self, folder: Path, chosen: StudySpec, *, seed: int) -> None:
        self.folder, self.spec, self.rng = folder, chosen, random.Random(seed)
        self.source = folder / "model"
        self.source.mkdir(parents=True)
        (self.source / "state").write_text("weights")
        self.log = Log(rungs=schedulers.create(chosen).rungs)
        self.most = 0
        self.drive()

    def drive(self) -> None:
        """A driver takes over from the last one, which was killed."""
        self.writer = _Writer()
        self.writer.committed = self.log.position
        self.recorder = Recorder(self.log, self.writer, [checkpoints.Keeper(str(self.folder), self.spec, self.log)])
        self.course = Course(self.spec, self.recorder)
        self.algorithm = algorithms.create(self.spec.search.algorithm, algorithms.problem_of(self.spec))
        self.running: list[Trial] = []

    def play(self) -> None:
        while True:
            if self.rng.random() < 0.02:
                self.drive()
            while len(self.running) < 3 and (trial := self.start()) is not None:
                self.running.append(trial)
            if not self.running:
                break
            trial = self.rng.choice(self.running)
            if self.advance(trial):
                self.running.remove(trial)
            self.recorder.tell()
            self.most = max(self.most, len(self.kept()))
        self.course.finish()
        self.recorder.tell()

    def start(self) -> Trial | None:
        trial = self.course.next_trial()
        if trial is None and self.course.room:
            number = len(self.log.trials)
            (suggestion,) = algorithms.propose(
                self.algorithm, name="sobol", history=latest(self.log.observations), pending=self.log.pending, n=1,
                seed=0, first_id=number, history_position=self.log.position,
            )  # fmt: skip
            self.recorder.suggested(suggestion)
            trial = self.log.trials[number]
        if trial is not None:
            self.recorder.tell()
            assert trial.checkpoint is None or trial.checkpoint in self.kept(), "what it begins with is there"
            self.recorder.started(trial.id, trial.attempt + 1 if trial.started_s else 0, trial.checkpoint)
        return trial

    def advance(self, trial: Trial) -> bool:
        """Three epochs of four save a checkpoint; one in fifty diverges."""
        step, name = trial.step + 1, None
        if self.rng.random() < 0.02:
            self.course.ended(Ended(trial=trial.id, attempt=trial.attempt, status="diverged", reason="nan"))
            return True
        if step % 4 != 2:
            saved = Checkpoint(str(self.source))
            name = checkpoints.save(saved, str(self.folder), trial=trial.id, attempt=trial.attempt, step=step)
        message = Reported(
            trial=trial.id, attempt=trial.attempt, step=step, resource=step, worker_seconds=1.0, checkpoint=name,
            metrics={"error": self.rng.random()},
        )  # fmt: skip
        if self.course.reported(message) != "continue":
            return True
        if step == EPOCHS:
            self.course.ended(Ended(trial=trial.id, attempt=trial.attempt, status="completed"))
        return step == EPOCHS

    def kept(self) -> set[str]:
        return {str(path.parent.relative_to(self.folder / "checkpoints")) for path in self.folder.glob("*/*/*/state")}


@pytest.mark.parametrize(("keep", "seed"), [("last", 0), ("best", 1), ("all", 2), ("last", 3)])
def test_what_may_be_copied_is_kept_and_no_longer(tmp_path: Path, keep: str, seed: int) -> None:
    study = Played(tmp_path, build(spec(tmp_path, keep=keep, trials=24), where="test"), seed=seed)
    study.play()
    log = study.log
    front = winners.front(log.trials.values(), study.spec.objectives)
    assert sum(isinstance(e, Event) and e.kind == "suggested" for e in log.entries) == 24
    assert any(trial.inherited is not None for trial in log.trials.values())
    expected = {
        "all": {r.checkpoint for trial in log.trials.values() for r in trial.reports if r.checkpoint},
        "last": {trial.checkpoint for trial in log.trials.values() if trial.reports and trial.checkpoint},
        "best": {trial.checkpoint for trial in log.trials.values() if trial in front},
    }[keep]
    assert study.kept() >= expected
    if keep != "all":
        assert study.kept() <= expected | {t.inherited.checkpoint for t in log.trials.values() if t.inherited}
        assert study.most <= len(expected) + 3 * 8, "the intervals under way, of a population of eight"
