"""Which checkpoints stay: played studies whose folders are compared with what the log says, at every entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from ray.train import Checkpoint

from paretune import winners
from paretune.engine import checkpoints
from paretune.log import Log, Trial
from paretune.records import Entry, Event, Proposal, Report, Suggestion
from paretune.study import StudySpec, build

Keep = Literal["last", "best", "all"]
ONE: dict[str, Any] = {"error": {"goal": "minimize", "limit": 0.9}}
TWO: dict[str, Any] = {"error": "minimize", "speed": "maximize"}


def spec(keep: Keep, objectives: dict[str, Any] = ONE) -> StudySpec:
    return build(
        {
            "name": "study",
            "trainable": "cnn",
            "objectives": objectives,
            "space": {"x": {"type": "float", "low": 0, "high": 1}},
            "train": {"epochs": 4, "keep": keep},
        },
        where="test",
    )


class Study:
    """Trials whose reports come with checkpoints on disk, each entry committed as soon as it is made."""

    def __init__(self, folder: Path, chosen: StudySpec) -> None:
        self.folder, self.spec, self.log = folder, chosen, Log()
        self.source = folder / "model"
        self.source.mkdir(parents=True)
        (self.source / "state").write_text("weights")
        self.open()

    def open(self) -> None:
        """A driver takes over."""
        self.keeper = checkpoints.Keeper(str(self.folder), self.spec, self.log)

    def append(self, entry: Entry) -> None:
        self.log.append(entry)
        self.keeper.on_entry(entry)

    def event(self, kind: Any, trial: int, **fields: Any) -> None:
        self.append(Event(position=self.log.position, kind=kind, time_s=0.0, trial=trial, **fields))

    def start(self, trial: int) -> None:
        proposal = Proposal(config={"x": 0.5}, origin="random")
        suggestion = Suggestion(id=trial, proposal=proposal, algorithm="random", history_position=0)
        self.event("suggested", trial, suggestion=suggestion)
        self.event("started", trial, attempt=0)

    def report(self, trial: int, **metrics: float) -> None:
        step, attempt = self.log.trials[trial].step + 1, self.log.trials[trial].attempt
        name = checkpoints.save(Checkpoint(str(self.source)), str(self.folder), trial=trial, attempt=attempt, step=step)
        self.append(
            Report(
                position=self.log.position, trial=trial, attempt=attempt, step=step, resource=step, time_s=0.0,
                metrics=metrics, checkpoint=name,
            )
        )  # fmt: skip

    def end(self, kind: Any, trial: int) -> None:
        self.event(kind, trial, metrics=dict(self.log.trials[trial].metrics))

    def kept(self) -> set[str]:
        return {str(path.parent.relative_to(self.folder / "checkpoints")) for path in self.folder.glob("*/*/*/state")}


def expected(study: Study) -> set[str]:
    """What stays by the words of the documentation."""
    trials = list(study.log.trials.values())
    if study.spec.train.keep == "all":
        return {r.checkpoint for trial in trials for r in trial.reports if r.checkpoint}
    front = winners.front(trials, study.spec.objectives)

    def stays(trial: Trial) -> bool:
        return not trial.ended or study.spec.train.keep == "last" or trial in front

    return {trial.checkpoint for trial in trials if trial.checkpoint and stays(trial)}


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("keep", ["last", "best", "all"])
def test_what_stays_follows_from_the_log_at_every_moment(
    tmp_path: Path, keep: Keep, objectives: dict[str, Any]
) -> None:
    study, rng = Study(tmp_path, spec(keep, objectives)), np.random.default_rng(0)
    running: list[int] = []
    for trial in range(16):
        study.start(trial)
        running.append(trial)
        while len(running) > 3 or (trial == 15 and running):
            chosen = running.pop(int(rng.integers(len(running))))
            study.report(chosen, error=float(rng.integers(10)) / 10, speed=float(rng.integers(5)))
            if rng.random() < 0.3:
                study.event("started", chosen, attempt=study.log.trials[chosen].attempt + 1)
            kind = rng.choice(["goes on", "paused", "completed", "completed", "stopped", "failed", "diverged"])
            if kind == "goes on":
                running.append(chosen)
            elif kind == "paused":
                study.event("paused", chosen)
            else:
                study.end(kind, chosen)
            assert study.kept() == expected(study)
    paused = [trial.id for trial in study.log.trials.values() if trial.status == "paused"]
    assert paused
    for number in paused:  # the study is over
        study.end("stopped", number)
        assert study.kept() == expected(study)


def test_by_hand_the_best_of_one_objective(tmp_path: Path) -> None:
    study = Study(tmp_path, spec("best"))
    for trial, error in enumerate([0.5, 0.3, 0.4, 0.2, 0.1]):
        study.start(trial)
        study.report(trial, error=0.8)
        study.report(trial, error=error)
        if trial != 3:
            study.end("completed", trial)
        assert (
            study.kept()
            == [
                {"00000/0-2"},
                {"00001/0-2"},
                {"00001/0-2"},
                {"00001/0-2", "00003/0-2"},
                {"00003/0-2", "00004/0-2"},
            ][trial]
        ), "a trial that runs has its last one"
    study.end("stopped", 3)
    assert study.kept() == {"00004/0-2"}, "what was stopped is not the best of anything"


def test_what_an_earlier_driver_did_not_come_to_remove_is_removed(tmp_path: Path) -> None:
    study = Study(tmp_path, spec("last"))
    for trial, error in enumerate([0.5, 0.3]):
        study.start(trial)
        study.report(trial, error=error)
        study.end("completed", trial)
    assert study.kept() == {"00000/0-1", "00001/0-1"}
    orphan = checkpoints.save(Checkpoint(str(study.source)), str(tmp_path), trial=2, attempt=0, step=1)
    study.spec = spec("best")
    study.open()
    assert study.kept() == {"00001/0-1", orphan}, "of a trial that the log does not have yet"
    study.start(2)
    study.report(2, error=0.1)
    study.end("completed", 2)
    assert study.kept() == {"00002/0-1"}
