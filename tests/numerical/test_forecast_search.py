"""gp under asha: the search goes by where trainings end, not by how they begin, and it replays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import paretune as pt
from paretune.flow import Study

EPOCHS, WHOLE_TRAININGS = 9, 12


def blackbox(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
    """Who is fast at first (a large x) ends badly; and the other way round is where the best is."""
    x, y = config["x"], config["y"]
    loss = (2 - x) / epoch + 2 * x * (1 - 1 / epoch) + 2 * (x - 0.2) ** 2 + (y - 0.4) ** 2
    return {"loss": loss, "score": -loss}, 60.0 * epoch


def simulated(folder: Path, algorithm: str, scheduler: Any, seed: int, objectives: Mapping[str, str]) -> Study:
    spec = {
        "name": "misled",
        "objectives": dict(objectives),
        "space": {"x": pt.Float(0, 1), "y": pt.Float(0, 1)},
        "search": {
            "algorithm": algorithm,
            "scheduler": scheduler,
            "trials": 1000,
            "hours": WHOLE_TRAININGS * EPOCHS * 60 / 3600 / 4,
            "seed": seed,
        },
        "train": {"epochs": EPOCHS},
        "store": str(folder),
    }
    return pt.simulate(spec, blackbox, workers=4)


def at_the_end(study: Study) -> float:
    """What the study's best whole training has."""
    return min(trial.metrics["loss"] for trial in study.trials if trial.status == "completed")


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_it_goes_by_where_trainings_end(tmp_path: Path, kind: str) -> None:
    asha = {"name": "asha", "kind": kind}
    for seed in range(2):
        modelled = at_the_end(simulated(tmp_path / f"g{seed}", "gp", asha, seed, {"loss": "minimize"}))
        chance = at_the_end(simulated(tmp_path / f"r{seed}", "random", asha, seed, {"loss": "minimize"}))
        assert modelled < chance


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_its_suggestions_and_decisions_replay(tmp_path: Path, kind: str) -> None:
    study = simulated(tmp_path, "gp", {"name": "asha", "kind": kind}, 3, {"loss": "minimize"})
    assert any(trial.suggestion.proposal.forecast is not None for trial in study.trials)
    replayed = study.replay()
    assert replayed.difference is None
    assert replayed.decisions > 10


def test_what_is_maximised_is_forecast_in_its_own_sign(tmp_path: Path) -> None:
    """The mirror image of a search takes the same course."""
    asha = {"name": "asha"}
    down = simulated(tmp_path / "down", "gp", asha, 0, {"loss": "minimize"})
    up = simulated(tmp_path / "up", "gp", asha, 0, {"score": "maximize"})
    assert [trial.status for trial in up.trials] == [trial.status for trial in down.trials]
    forecasts = [trial.suggestion.proposal.forecast for trial in up.trials]
    assert any(forecast is not None for forecast in forecasts)


def test_several_objectives_are_forecast_too(tmp_path: Path) -> None:
    study = simulated(tmp_path, "gp", {"name": "asha"}, 0, {"loss": "minimize", "score": "maximize"})
    forecast = next(f for f in (t.suggestion.proposal.forecast for t in study.trials) if f is not None)
    assert set(forecast.lines[1.0]) == {"loss", "score"}
    assert all(set(end) == {"loss", "score"} for end in forecast.others[1.0])
    assert study.replay().difference is None
