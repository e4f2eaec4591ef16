"""Earlier studies in the store: which are taken, that the choice is kept, and what is said when one is gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import paretune as pt
from paretune import algorithms, flow, running, store, study, warm_start
from paretune.errors import AlgorithmError, SpecError, StudyExistsError, StudyNotFoundError
from paretune.records import Provenance
from paretune.study import StudySpec

SPACE: dict[str, Any] = {"x": {"type": "float", "low": 0, "high": 1}, "n": {"type": "int", "low": 1, "high": 9}}


def spec(location: Path, name: str = "new", **changes: Any) -> StudySpec:
    data: dict[str, Any] = {"trainable": "cnn", "objectives": {"error": "minimize"}, "space": SPACE, "search": {}}
    return study.build({"name": name, "store": str(location), **data, **changes}, where="test")


def warm(location: Path, warm_start: Any, **changes: Any) -> StudySpec:
    return spec(location, search={"warm_start": warm_start}, **changes)


def stored(location: Path, name: str, *, trials: int = 5, created_s: float = 1.0, **changes: Any) -> None:
    """A study of random configurations in the store."""
    made = spec(location, name, **changes)
    at = Provenance(created_s=created_s, paretune="0.1.0", versions={}, git_commit=None, host="here")
    store.create(made, at)
    add(location, name, trials=trials)


def add(location: Path, name: str, *, trials: int) -> None:
    """More trials of a study in the store."""
    with store.Writer(str(location), name) as writer:
        spec = writer.stored.spec
        opt = pt.Optimizer(spec.space, spec.objectives, algorithm="random", seed=writer.position)
        opt.log = writer.stored.log
        before = opt.log.position
        for _ in range(trials):
            s = opt.ask()
            opt.tell(s, {o.name: float(s.config["x"]) for o in spec.objectives})  # type: ignore[arg-type]
        for entry in opt.log.entries[before:]:
            writer.append(entry)


def taken(spec: StudySpec) -> list[str]:
    settled = warm_start.settled(spec).search.sources
    assert settled is not None
    return [entry.study for entry in settled]


@pytest.mark.parametrize("asked", ["store", ["cnn"], ["cnn", "s3://bucket/results/cnn"]])
def test_what_is_asked_survives_yaml(tmp_path: Path, asked: Any) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(study.to_yaml(warm(tmp_path, asked)))
    assert study.load(path).search == warm(tmp_path, asked).search


@pytest.mark.parametrize("bad", ["cnn", [], ["cnn", 3], {"cnn": 1}, True])
def test_anything_else_is_refused(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(SpecError, match=r"search: warm_start: must be store, or a list of studies as \[cnn\], got"):
        warm(tmp_path, bad)


def test_by_default_nothing_is_learnt(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    settled = warm_start.settled(spec(tmp_path))
    assert settled == spec(tmp_path)
    assert warm_start.read(settled) == ()


def test_the_store_means_its_recent_studies_that_fit(tmp_path: Path) -> None:
    for number in range(warm_start.MOST + 1):
        stored(tmp_path, f"old{number}", trials=3, created_s=float(number))
    stored(tmp_path, "other-goal", objectives={"error": "maximize"}, created_s=50.0)
    stored(tmp_path, "other-space", space={"x": {"type": "choice", "options": [1, 2]}}, created_s=51.0)
    stored(tmp_path, "too-short", trials=2, created_s=52.0)
    (tmp_path / "broken" / "study").mkdir(parents=True)
    assert taken(warm(tmp_path, "store")) == [f"old{number}" for number in range(warm_start.MOST, 0, -1)]
    assert taken(warm(tmp_path / "empty", "store")) == []


def test_named_studies_are_taken_in_their_order_also_from_other_stores(tmp_path: Path) -> None:
    stored(tmp_path, "a")
    stored(tmp_path, "b")
    stored(tmp_path / "elsewhere", "c")
    assert taken(warm(tmp_path, ["b", "a", "b"])) == ["b", "a"]
    relative = os.path.relpath(tmp_path / "elsewhere" / "c")
    assert taken(warm(tmp_path, [relative])) == [str(tmp_path / "elsewhere" / "c")], "wherever one resumes"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odl", "warm_start: odl: .*no study named 'odl'"),
        ("new", "warm_start: new: must be another study"),
        ("maximised", "warm_start: maximised: it must minimize error, and it maximizes it"),
    ],
)
def test_a_named_study_that_cannot_be_used_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    stored(tmp_path, "old")
    stored(tmp_path, "maximised", objectives={"error": "maximize"})
    with pytest.raises((SpecError, StudyNotFoundError), match=message):
        warm_start.settled(warm(tmp_path, [name]))


def suggestions(spec: StudySpec, n: int) -> list[Any]:
    """The first n proposals of a study whose trials return their x."""
    problem = algorithms.Problem(
        space=spec.space, objectives=spec.objectives, seed=spec.search.seed, sources=warm_start.read(spec)
    )
    opt = pt.Optimizer(spec.space, spec.objectives, seed=spec.search.seed, warm_start=list(problem.sources))
    for _ in range(n):
        s = opt.ask()
        opt.tell(s, {"error": (float(s.config["x"]) - 0.1) ** 2})  # type: ignore[arg-type]
    return [trial.suggestion.proposal for trial in opt.log.trials.values()]


def test_a_resumed_study_learns_from_what_it_was_created_with(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    created = warm_start.settled(warm(tmp_path, "store"))
    store.create(created, Provenance(created_s=9.0, paretune="0.1.0", versions={}, git_commit=None, host="here"))
    sources, proposals = warm_start.read(created), suggestions(created, 7)
    assert len(sources[0].observations) == 5

    add(tmp_path, "old", trials=3)
    stored(tmp_path, "younger", created_s=20.0)
    running.check(warm(tmp_path, "store"))  # the same file once more is the same study
    again = warm_start.settled(warm(tmp_path, "store"))
    assert again.search.sources == created.search.sources
    assert warm_start.read(again) == sources
    assert suggestions(again, 7) == proposals
    assert pt.load("new", store=tmp_path).spec.search == created.search
    assert taken(warm(tmp_path, "store", name="another")) == ["younger", "old"]


def test_another_wish_is_another_study(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    created = warm_start.settled(warm(tmp_path, ["old"]))
    store.create(created, Provenance(created_s=9.0, paretune="0.1.0", versions={}, git_commit=None, host="here"))
    with pytest.raises(StudyExistsError, match=r"search.warm_start: \('old',\) before, 'store' now"):
        running.check(warm(tmp_path, "store"))
    with pytest.raises(StudyExistsError, match=r"search.warm_start: \('old',\) before, 'absent' now"):
        running.check(spec(tmp_path))


def test_a_source_that_is_gone_or_replaced_is_an_error(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    created = warm_start.settled(warm(tmp_path, ["old"]))
    shutil.rmtree(tmp_path / "old")
    with pytest.raises(StudyNotFoundError, match="study new: learns from old, which must still be there") as caught:
        warm_start.read(created)
    assert caught.value.hint is not None
    assert "bring that study back" in caught.value.hint
    stored(tmp_path, "old", created_s=2.0)
    with pytest.raises(StudyNotFoundError, match="must be the study it was"):
        warm_start.read(created)


def test_an_algorithm_that_learns_from_no_study_is_refused_at_once(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    asked = spec(tmp_path, search={"warm_start": "store", "algorithm": "random"})
    with pytest.raises(AlgorithmError, match="random: must be able to learn from earlier studies"):
        running.check(asked)


def test_a_loaded_study_can_be_handed_over(tmp_path: Path) -> None:
    stored(tmp_path, "old")
    loaded = pt.load("old", store=tmp_path)
    assert loaded.source().observations == tuple(loaded.log.history)
    assert pt.Optimizer(loaded.spec.space, loaded.spec.objectives, warm_start=[loaded]).ask().proposal.origin == (
        "best of old"
    )
    assert flow._earlier([loaded, "cnn"], str(tmp_path)) == ["old", "cnn"]
    assert flow._earlier([loaded], "elsewhere") == [str(tmp_path / "old")]
    assert flow._earlier("store", "elsewhere") == "store"
