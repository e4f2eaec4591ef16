"""Which of `gp`'s trials are trained to their end under a scheduler, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import paretune as pt
from paretune.cli import main


def blackbox(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
    return {"loss": (config["x"] - 0.3) ** 2 + config["y"] + 1 / epoch}, epoch


def searched(
    folder: Path,
    *,
    scheduler: str = "asha",
    trials: int = 26,
    blackbox: Callable[..., tuple[dict[str, float], float]] = blackbox,
    **settings: Any,
) -> pt.Study:
    spec = {
        "name": "whole",
        "objectives": {"loss": "minimize"},
        "space": {name: {"type": "float", "low": 0, "high": 1} for name in "xy"},
        "search": {"algorithm": {"name": "gp", **settings}, "scheduler": scheduler, "trials": trials},
        "train": {"epochs": 9},
        "store": str(folder),
    }
    return pt.simulate(spec, blackbox, workers=4)


def wanted(study: pt.Study) -> dict[int, bool]:
    return {trial.id: trial.suggestion.proposal.whole for trial in study.trials}


def test_every_second_trial_is_trained_whole_once_there_are_ends_to_learn_from(tmp_path: Path) -> None:
    study = searched(tmp_path)
    whole = wanted(study)
    assert [whole[trial] for trial in range(4)] == [True, False, True, False]
    assert not any(whole[trial] for trial in range(1, 26, 2))
    assert all(whole[trial] for trial in range(16, 26, 2))
    assert all(trial.status == "completed" for trial in study.trials if whole[trial.id])
    assert any(trial.status == "stopped" for trial in study.trials)
    assert {trial.suggestion.proposal.origin for trial in study.trials} == {"initial", "model"}
    assert study.replay().difference is None


def test_whole_trainings_that_fail_are_made_up_for(tmp_path: Path) -> None:
    """Four ends are needed; here the first trials of the start diverge."""

    def fragile(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
        return {"loss": blackbox(config, epoch)[0]["loss"] if config["x"] < 0.4 else float("nan")}, epoch

    (tmp_path / "fragile").mkdir()
    fragile_study, sound = searched(tmp_path / "fragile", blackbox=fragile, trials=8), searched(tmp_path, trials=8)
    assert any(trial.status == "diverged" for trial in fragile_study.trials if wanted(fragile_study)[trial.id])
    assert sum(wanted(fragile_study).values()) > sum(wanted(sound).values())


@pytest.mark.parametrize(("settings", "every"), [({"whole": 3}, 3), ({"whole": 0}, 100)])
def test_how_many_are_is_a_setting(tmp_path: Path, settings: dict[str, int], every: int) -> None:
    whole = wanted(searched(tmp_path, **settings))
    assert {trial for trial in whole if whole[trial]} <= {trial for trial in whole if trial % every == 0}
    assert whole[24] == (every == 3)


def test_without_a_scheduler_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert not any(wanted(searched(tmp_path, scheduler="none", trials=7)).values())


def test_a_trial_that_was_to_be_trained_whole_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = searched(tmp_path, trials=6)
    whole = wanted(study)
    for trial in whole:
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["show", study.name, "--trial", str(trial), "--store", str(tmp_path)])
        assert ("it is trained whole" in capsys.readouterr().out) == whole[trial]
    assert set(whole.values()) == {True, False}


def test_two_objectives_have_them_too(tmp_path: Path) -> None:
    def both(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
        return {"loss": (config["x"] - 0.3) ** 2 + config["y"] + 1 / epoch, "size": 1 - config["y"] ** 2}, epoch

    spec = {
        "name": "whole",
        "objectives": {"loss": "minimize", "size": "minimize"},
        "space": {name: {"type": "float", "low": 0, "high": 1} for name in "xy"},
        "search": {"algorithm": "gp", "scheduler": "asha", "trials": 18},
        "train": {"epochs": 9},
        "store": str(tmp_path),
    }
    study = pt.simulate(spec, both, workers=4)
    whole = wanted(study)
    assert all(whole[trial] for trial in (14, 16))
    assert all({*trial.suggestion.proposal.mean} == {"loss", "size"} for trial in study.trials if trial.id >= 14)
