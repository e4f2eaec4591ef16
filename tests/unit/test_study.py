"""Study specs: YAML in and out, options over files, and every bad spec refused with one readable line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretune import amendments, study
from paretune.errors import InputError, ObjectiveError, SpaceError, SpecError
from paretune.study import StudySpec
from strategies import spaces

CNN = """
trainable: cnn
objectives: {val_error: minimize, latency_ms: {goal: minimize, reference: 20.0}}
space:
  lr: {type: float, low: 1e-5, high: 1e-2, log: true, default: 1e-3}
  hidden: {type: int, low: 32, high: 512, log: true, step: power2}
  optimizer: {type: choice, options: [adamw, sgd]}
  momentum: {type: float, low: 0.5, high: 0.99, when: {optimizer: sgd}}
search: {algorithm: gp, trials: 24, concurrency: 2, seed: 0}
train: {workers: 1, epochs: 5, config: {dataset: digits, widths: [8, 16]}}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "cnn.yaml"
        path.write_text(text)
        return path

    return _write


def test_a_spec_file_as_the_readme_has_it(write: Write) -> None:
    spec = study.load(write(CNN))
    assert (spec.name, spec.trainable, spec.store) == ("cnn", "cnn", "paretune-results")
    assert spec.space.decode([0.0, 0.5, 0.9, 0.0]) == {"lr": 1e-5, "hidden": 128, "optimizer": "sgd", "momentum": 0.5}
    assert spec.objectives.names == ("val_error", "latency_ms")
    assert (spec.search.trials, spec.search.concurrency, spec.train.workers) == (24, 2, 1)
    assert spec.constants() == {"dataset": "digits", "widths": [8, 16], "epochs": 5}


def test_yaml_round_trip(write: Write) -> None:
    spec = study.load(write(CNN))
    assert study.load(write(study.to_yaml(spec))) == spec
    elastic = spec.with_changes({"train": {"workers": (2, 4)}})
    assert (elastic.train.min_workers, elastic.train.workers) == (2, 4)
    assert elastic.to_dict()["train"]["workers"] == [2, 4]
    assert study.load(write(study.to_yaml(elastic))) == elastic
    assert not spec.with_changes({"train": {"workers": [2, 2]}}).train.elastic


@given(spaces(), st.integers(1, 99), st.floats(1e-6, 1e6))
def test_any_spec_survives_its_plain_form(space: Any, trials: int, reference: float) -> None:
    data = {
        "name": "s",
        "trainable": "t",
        "space": space.to_dict(),
        "objectives": {"e": {"goal": "maximize", "reference": reference}},
        "search": {"trials": trials},
    }
    spec = study.build(data, where="test")
    assert study.build(spec.to_dict(), where="again") == spec


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-5", 1e-5), ("-2E3", -2000.0), ("1.5e+3", 1500.0), (".5e1", 5.0), ("12", 12), ("1e5x", "1e5x"), ("on", True)],
)
def test_numbers_are_read_as_everybody_writes_them(text: str, value: object) -> None:
    parsed = study.parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_options_change_the_file(write: Write) -> None:
    spec = study.load(write(CNN), {"search": {"trials": 3}, "space": {"lr": {"high": 0.1}}, "name": "other"})
    assert (spec.name, spec.search.trials, spec.search.concurrency) == ("other", 3, 2)
    assert spec.space["lr"].high == 0.1  # type: ignore[union-attr]


def test_changes_are_validated(write: Write) -> None:
    spec = study.load(write(CNN))
    assert spec.with_changes({"search": {"trials": 60}}).search.trials == 60
    assert spec.with_changes({"store": "elsewhere"}).store == "elsewhere"
    with pytest.raises(SpecError, match=r"study: search: trials: .*greater than or equal to 1, got 0"):
        spec.with_changes({"search": {"trials": 0}})


def test_differences_name_what_a_study_cannot_change(write: Write) -> None:
    spec = study.load(write(CNN))
    freely = {"search": {"trials": 60, "hours": 2.0, "concurrency": 4}, "train": {"retries": 0, "keep": "best"}}
    assert amendments.differences(spec, spec.with_changes(freely)) == []
    changed = spec.with_changes({"space": {"lr": {"high": 0.1}}, "search": {"seed": 1}, "train": {"epochs": None}})
    assert amendments.differences(spec, changed) == [
        "space.lr.high: 0.01 before, 0.1 now",
        "search.seed: 0 before, 1 now",
        "train.epochs: 5 before, 'absent' now",
    ]


def test_the_order_of_parameters_is_part_of_the_space(write: Write) -> None:
    """The cube's coordinates follow it, so another order would make other suggestions."""
    spec = study.load(write(CNN))
    data = spec.to_dict()
    data["space"] = {name: data["space"][name] for name in ("hidden", "lr", "optimizer", "momentum")}
    assert amendments.differences(spec, study.build(data, where="test")) == [
        "space: order lr, hidden, optimizer, momentum before, hidden, lr, optimizer, momentum now"
    ]


def test_nested_keys() -> None:
    assert study.nested("search.trials", 8) == {"search": {"trials": 8}}


BAD: list[tuple[str, str, type[InputError], str, str | None]] = [
    ("trainable: cnn", "trianable: cnn", SpecError, "unknown key 'trianable'", "did you mean 'trainable'?"),
    ("trials: 24", "trails: 24", SpecError, "search: unknown key 'trails'", "did you mean 'trials'?"),
    ("epochs: 5", "epoch: 5", SpecError, "train: unknown key 'epoch'", "did you mean 'epochs'?"),
    ("trials: 24", "trials: 0", SpecError, "search: trials: input should be greater than or equal to 1, got 0", None),
    ("trials: 24", "trials: many", SpecError, "search: trials: input should be a valid integer", None),
    ("trials: 24", "hours: .nan", SpecError, "search: hours: ", None),
    ("trials: 24", "hours: .inf", SpecError, "search: hours: ", None),
    ("workers: 1", "workers: -1", SpecError, "train: workers: input should be greater than or equal to 1", None),
    (
        "workers: 1",
        "workers: [4, 2]",
        SpecError,
        "train: workers: must be a number, or two as [2, 4], got [4, 2]",
        None,
    ),
    ("workers: 1", "min_workers: 1", SpecError, "train: unknown key 'min_workers'", "workers: [2, 4]"),
    ("workers: 1", "isolation: vm", SpecError, "train: isolation: ", None),
    ("trainable: cnn", "trainable: cnn\nname: ../evil", SpecError, "name: must be letters, digits", None),
    ("trainable: cnn", "trainable: cnn\nname: a/b", SpecError, "name: must be letters, digits", None),
    ("trainable: cnn", "trainable: cnn\nname: .hidden", SpecError, "name: must be letters, digits", None),
    ("trainable: cnn", "trainable: [cnn]", SpecError, "trainable: input should be a valid string", None),
    ("trainable: cnn", "store: x", SpecError, "trainable: is missing", None),
    ("val_error: minimize", "val_error:", ObjectiveError, "val_error: goal must be minimize", None),
    ("low: 1e-5", "low: 1e-1", SpaceError, "lr: low must be below high, got low 0.1 and high 0.01", "swap"),
    ("low: 1e-5", "low: 0", SpaceError, "lr: low must be > 0 when log is true, got 0.0", "use low: 1e-6"),
    ("[adamw, sgd]", "[]", SpaceError, "optimizer: options must not be empty", None),
    ("when: {optimizer: sgd}", "when: {optim: sgd}", SpaceError, "momentum: when names 'optim'", "'optimizer'"),
    ("epochs: 5, config: {", "config: {lr: 1, ", SpecError, "space: lr: given in train as well", "remove lr"),
    ("  hidden:", "  epochs:", SpecError, "space: epochs: given in train as well", "remove epochs"),
    ("  hidden:", "  lr:", SpecError, "is not valid YAML: the key 'lr' stands twice", None),
    ("  hidden:", "  hidden: [", SpecError, "is not valid YAML", None),
]


@pytest.mark.parametrize(("old", "new", "kind", "message", "hint"), BAD, ids=[new for _, new, *_ in BAD])
def test_bad_specs_say_where_what_and_how(
    write: Write, old: str, new: str, kind: type[InputError], message: str, hint: str | None
) -> None:
    assert old in CNN
    path = write(CNN.replace(old, new, 1))
    with pytest.raises(kind) as caught:
        study.load(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint
    assert [found.name for found in path.parent.iterdir()] == ["cnn.yaml"], "something was written"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "must hold a mapping"), ("- a", "must hold a mapping"), ("a", "must hold a mapping")],
)
def test_files_of_another_kind_are_refused(write: Write, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        study.load(write(text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read: .*No such file"):
        study.load(tmp_path / "nowhere.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        study.load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        study.load(tmp_path / "binary.yaml")


def test_section_that_is_no_mapping(write: Write) -> None:
    with pytest.raises(SpecError, match=r"search: .*got 5"):
        study.load(write(CNN.replace("search: {algorithm: gp, trials: 24, concurrency: 2, seed: 0}", "search: 5")))


def test_a_spec_cannot_be_changed_in_place(write: Write) -> None:
    spec: StudySpec = study.load(write(CNN))
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"
