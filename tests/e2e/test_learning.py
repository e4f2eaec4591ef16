"""A study that learns from another one in the store, on a real local Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import loops
import pytest

import paretune as pt

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_afterwards")]

SPACE = {"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)}
OBJECTIVES = {"error": "minimize"}


def search(store: Path, name: str, **settings: Any) -> pt.Study:
    return pt.search(
        loops.quick, space=SPACE, objectives=OBJECTIVES, store=store, name=name, progress=False, **settings
    )


def simulated(store: Path, name: str, **settings: Any) -> pt.Study:
    """A study of the same function without Ray."""
    spec = {"name": name, "objectives": OBJECTIVES, "space": SPACE, "search": settings}
    return pt.simulate(spec, loops.known, workers=1, reports=[1, 2], name=name, store=store)


def test_it_begins_with_what_was_best_and_learns_the_same_after_a_resume(tmp_path: Path) -> None:
    """Also when the earlier study has grown in between: what counts is how far it was when the new one began."""
    old = simulated(tmp_path, "old", algorithm="sobol", trials=8)
    learning: dict[str, Any] = {"algorithm": "gp", "warm_start": ["old"], "seed": 1}
    straight = simulated(tmp_path, "straight", trials=10, **learning)
    first = straight.trials[0].suggestion.proposal
    assert (first.config, first.origin) == (old.best().config, "best of old")
    assert straight.trials[-1].suggestion.proposal.notes["sources"]["error"]["old"] > 0.9, "it is the same function"

    begun = search(tmp_path, "parts", trials=7, **learning)
    assert len(simulated(tmp_path, "old", algorithm="sobol", trials=12).trials) == 12
    resumed = begun.resume(trials=10, progress=False)
    assert [trial.suggestion.proposal for trial in resumed.trials] == [
        trial.suggestion.proposal for trial in straight.trials
    ]


def test_a_study_object_will_do(tmp_path: Path) -> None:
    old = simulated(tmp_path, "old", algorithm="sobol", trials=4)
    by_object = search(tmp_path, "by_object", algorithm="gp", warm_start=[old], trials=1)
    (entry,) = by_object.spec.search.sources or ()
    assert entry.study == "old"
    assert by_object.trials[0].config == old.best().config
