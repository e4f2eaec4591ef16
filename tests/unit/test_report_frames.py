"""A study's tables: the exact values that small logs, written by hand, must give."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from paretune.errors import InputError, ObjectiveError
from paretune.log import Log
from paretune.report import frames, outcomes
from paretune.study import StudySpec, build

LR: dict[str, Any] = {"type": "float", "low": 0.0, "high": 1.0}


def spec(objectives: Mapping[str, Any], space: Mapping[str, Any] | None = None) -> StudySpec:
    data = {"name": "small", "trainable": "cnn", "objectives": objectives, "space": space or {"lr": LR}}
    return build(data, where="test")


def completed(*metrics: Mapping[str, float]) -> Log:
    """A log of one completed trial for each entry, one second each."""
    write = synthetic.Writer()
    write.event("opened")
    for trial, values in enumerate(metrics):
        write.complete(trial, {"lr": 0.5}, values)
    return write.log


def two(*pairs: tuple[float, float]) -> Log:
    return completed(*({"error": error, "speed": speed} for error, speed in pairs))


def listed(column: pd.Series[Any]) -> list[Any]:
    """A column as a list, with None for what is absent."""
    return [None if value is pd.NA or value is pd.NaT else value for value in column]


# -- trials -------------------------------------------------------------------------------------------------------

MIXED_SPACE: dict[str, Any] = {
    "optimizer": {"type": "choice", "options": ["adamw", "sgd"]},
    "momentum": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
    "warmup": {"type": "int", "low": 1, "high": 100, "when": {"optimizer": "adamw"}},
    "width": {"type": "int", "low": 32, "high": 512, "step": "power2"},
    "bias": {"type": "choice", "options": [True, False]},
    "heads": {"type": "choice", "options": [1, 2, 4]},
    "decay": {"type": "choice", "options": [0, 0.5]},
    "norm": {"type": "choice", "options": ["batch", None]},
    "clip": {"type": "choice", "options": [None, "auto", 1.5, 3, True]},
}


@pytest.fixture
def mixed() -> tuple[StudySpec, Log]:
    """One completed, one failed, one running and one pending trial with parameters of every kind."""
    write = synthetic.Writer()
    write.event("opened")
    sgd = {"optimizer": "sgd", "momentum": 0.9, "width": 64, "bias": True, "heads": 4, "decay": 0}
    adamw = {"optimizer": "adamw", "warmup": 7, "width": 512, "bias": False, "heads": 1, "decay": 0.5}
    write.complete(0, {**sgd, "norm": None, "clip": 1.5}, {"error": 0.25, "extra": 3.0}, seconds=8)
    write.start(1, {**adamw, "norm": "batch", "clip": "auto"})
    write.time_s += 2
    write.event("failed", 1, attempt=1, reason="ValueError: no")
    write.start(2, {**adamw, "norm": "batch", "clip": None})
    write.time_s += 3
    write.report(2, {"error": 0.5})
    write.time_s += 1.5
    write.report(2, {"error": 0.375})
    write.time_s += 100
    write.suggest(3, {**sgd, "norm": "batch", "clip": True})
    return spec({"error": "minimize"}, MIXED_SPACE), write.log


def test_a_row_per_trial_with_the_parameters_then_the_metrics(mixed: tuple[StudySpec, Log]) -> None:
    table = frames.trials(*mixed)
    assert list(table) == ["trial", "status", *MIXED_SPACE, "error", "extra", "resource", "started", "seconds"]
    assert listed(table["trial"]) == [0, 1, 2, 3]
    assert listed(table["status"]) == ["completed", "failed", "running", "pending"]
    assert listed(table["error"]) == [0.25, None, 0.375, None]
    assert listed(table["extra"]) == [3.0, None, None, None]
    assert listed(table["resource"]) == [1.0, 0.0, 2.0, 0.0]
    assert listed(table["seconds"]) == [8.0, 2.0, 4.5, None]  # a running trial: up to its last report
    start = pd.Timestamp("2026-01-01", tz="UTC")
    seconds = [None if started is None else (started - start).total_seconds() for started in listed(table["started"])]
    assert seconds == [0.0, 8.0, 10.0, None]


def test_every_parameter_keeps_its_values_and_its_kind(mixed: tuple[StudySpec, Log]) -> None:
    table = frames.trials(*mixed)
    expected: dict[str, tuple[str, list[Any]]] = {
        "optimizer": ("string", ["sgd", "adamw", "adamw", "sgd"]),
        "momentum": ("Float64", [0.9, None, None, 0.9]),
        "warmup": ("Int64", [None, 7, 7, None]),
        "width": ("Int64", [64, 512, 512, 64]),
        "bias": ("boolean", [True, False, False, True]),
        "heads": ("Int64", [4, 1, 1, 4]),
        "decay": ("Float64", [0.0, 0.5, 0.5, 0.0]),
        "norm": ("string", [None, "batch", "batch", "batch"]),
        "clip": ("string", ["1.5", "auto", None, "true"]),
    }
    assert {name: (str(table[name].dtype), listed(table[name])) for name in expected} == expected
    assert {str(table[name].dtype) for name in ("error", "extra", "resource", "seconds")} == {"Float64"}


def test_an_integer_beside_an_absent_one_is_written_without_a_point(mixed: tuple[StudySpec, Log]) -> None:
    text = frames.trials(*mixed).to_csv(index=False)
    rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert rows["warmup"].tolist() == ["", "7", "7", ""]
    assert rows["width"].tolist() == ["64", "512", "512", "64"]


def test_arrow_has_nulls_and_types_and_no_nan(mixed: tuple[StudySpec, Log]) -> None:
    table = frames.to_arrow(*mixed)
    assert table.column_names == list(frames.trials(*mixed))
    assert table.schema.field("warmup").type == pa.int64()
    assert table.schema.field("bias").type == pa.bool_()
    assert table.schema.field("started").type == pa.timestamp("us", tz="UTC")
    assert table["momentum"].to_pylist() == [0.9, None, None, 0.9]
    assert table["error"].to_pylist() == [0.25, None, 0.375, None]
    floats = [table[field.name] for field in table.schema if pa.types.is_floating(field.type)]
    assert floats
    assert not any(pc.any(pc.is_nan(column)).as_py() for column in floats)


def test_a_study_without_trials_has_the_same_columns_and_types(mixed: tuple[StudySpec, Log]) -> None:
    study, _ = mixed
    empty, full = frames.to_arrow(study, Log()), frames.to_arrow(*mixed)
    assert empty.num_rows == 0
    assert [field for field in full.schema if field.name != "extra"] == list(empty.schema)


def test_a_name_that_is_taken_gets_a_prefix_and_no_column_is_lost() -> None:
    study = spec({"lr": "minimize"}, {"status": LR, "lr": LR})
    write = synthetic.Writer()
    write.complete(0, {"status": 0.1, "lr": 0.2}, {"lr": 0.3, "status": 0.4, "metric.lr": 0.5, "trial": 0.6})
    names = frames.columns(study, write.log)
    assert names.parameters == {"status": "parameter.status", "lr": "lr"}
    assert names.metrics["lr"] == "metric.lr"
    table = frames.trials(study, write.log)
    assert len(set(table)) == len(list(table)) == 11
    assert table.loc[0, "status"] == "completed"
    assert table.loc[0, "trial"] == 0
    assert [table.loc[0, column] for column in names.parameters.values()] == [0.1, 0.2]
    assert {name: table.loc[0, column] for name, column in names.metrics.items()} == {
        "lr": 0.3,
        "status": 0.4,
        "metric.lr": 0.5,
        "trial": 0.6,
    }


def test_integers_beyond_64_bits_are_spelled_out() -> None:
    space = {
        "seed": {"type": "choice", "options": [1, 2**63]},
        "hash": {"type": "int", "low": 0, "high": 2**64},
        "last": {"type": "int", "low": 0, "high": 2**63 - 1},
    }
    study = spec({"error": "minimize"}, space)
    write = synthetic.Writer()
    write.complete(0, {"seed": 2**63, "hash": 2**64, "last": 2**63 - 1}, {"error": 0.5})
    row = frames.to_arrow(study, write.log).to_pylist()[0]
    assert (row["seed"], row["hash"], row["last"]) == (str(2**63), str(2**64), 2**63 - 1)


def test_metrics_that_are_not_finite() -> None:
    table = frames.trials(
        spec({"error": "minimize"}), completed({"error": 0.1, "norm": math.inf}, {"error": 0.2, "norm": math.nan})
    )
    assert listed(table["norm"]) == [math.inf, None]


# -- the front and the best ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objectives", "pairs", "expected"),
    [
        ({"error": "minimize", "speed": "maximize"}, [(0.3, 5), (0.1, 1), (0.3, 4), (0.2, 5), (0.5, 9)], [1, 3, 4]),
        ({"error": "minimize", "speed": "minimize"}, [(0.3, 5), (0.1, 1), (0.3, 4), (0.2, 5), (0.5, 9)], [1]),
        ({"error": "minimize", "speed": "maximize"}, [(0.2, 5), (0.1, 1), (0.2, 5)], [1, 0, 2]),  # equals both count
        ({"error": "minimize", "speed": {"goal": "maximize", "limit": 4}}, [(0.1, 3), (0.2, 4), (0.3, 5)], [1, 2]),
        ({"error": {"goal": "minimize", "limit": 0.2}, "speed": "maximize"}, [(0.1, 3), (0.2, 4), (0.3, 5)], [0, 1]),
        ({"error": {"goal": "minimize", "limit": 0.05}, "speed": "maximize"}, [(0.1, 3), (0.2, 4)], []),
    ],
)
def test_front(objectives: Mapping[str, Any], pairs: list[tuple[float, float]], expected: list[int]) -> None:
    assert [trial.id for trial in frames.front(spec(objectives), two(*pairs))] == expected


def test_only_completed_trials_are_on_the_front() -> None:
    write = synthetic.Writer()
    write.complete(0, {"lr": 0.5}, {"error": 0.5})
    for trial, end in enumerate(("stopped", "failed", "diverged"), start=1):
        write.start(trial, {"lr": 0.5})
        write.report(trial, {"error": 0.1})
        write.event(end, trial, metrics={"error": 0.1}, reason="early")
    write.start(4, {"lr": 0.5})
    write.report(4, {"error": 0.1})
    assert [trial.id for trial in frames.front(spec({"error": "minimize"}), write.log)] == [0]


def test_best_goes_by_the_goal_and_the_limits_and_the_earlier_of_equals() -> None:
    study = spec({"error": {"goal": "minimize", "limit": 0.5}, "speed": "maximize"})
    log = two((0.2, 4), (0.6, 9), (0.1, 3), (0.1, 7), (0.5, 7))
    assert frames.best(study, log, "error").id == 2
    assert frames.best(study, log, "speed").id == 3


def test_best_of_a_single_objective_needs_no_name() -> None:
    assert frames.best(spec({"speed": "maximize"}), two((0, 1), (0, 3), (0, 2))).id == 1


def test_best_says_what_is_wrong() -> None:
    study = spec({"error": {"goal": "minimize", "limit": 0.05}, "speed": "maximize"})
    log = two((0.2, 4))
    with pytest.raises(ObjectiveError, match=r"(?s)^study small: best: must name one of 2 objectives.*hint: "):
        frames.best(study, log)
    with pytest.raises(ObjectiveError, match=r"(?s)no objective 'eror'.*did you mean 'error'\?"):
        frames.best(study, log, "eror")
    with pytest.raises(InputError, match=r"(?s)^study small: .*completed trial within the limits.*relax the limits"):
        frames.best(study, log, "error")


# -- convergence and hypervolume ----------------------------------------------------------------------------------


def test_convergence_goes_towards_each_objectives_goal() -> None:
    study = spec({"error": "minimize", "speed": "maximize"})
    table = frames.convergence(study, two((0.3, 5), (0.1, 1), (0.2, 7)))
    assert list(table) == ["objective", "order", "trial", "elapsed_s", "value", "best"]
    error, speed = table[table["objective"] == "error"], table[table["objective"] == "speed"]
    assert listed(error["value"]) == [0.3, 0.1, 0.2]
    assert listed(error["best"]) == [0.3, 0.1, 0.1]
    assert listed(speed["value"]) == [5, 1, 7]
    assert listed(speed["best"]) == [5, 5, 7]
    assert listed(speed["elapsed_s"]) == [1.0, 2.0, 3.0]


def test_the_best_is_absent_until_a_trial_keeps_the_limits() -> None:
    study = spec({"error": "minimize", "speed": {"goal": "maximize", "limit": 4}})
    log = two((0.1, 1), (0.3, 4), (0.2, 2), (0.25, 6))
    error = frames.convergence(study, log).query("objective == 'error'")
    assert listed(error["best"]) == [None, 0.3, 0.3, 0.25]
    assert listed(frames.hypervolume(study, log)["hypervolume"])[0] == 0.0


def test_trials_count_in_the_order_in_which_they_ended() -> None:
    write = synthetic.Writer()
    write.start(0, {"lr": 0.5})
    write.start(1, {"lr": 0.5})
    for trial, error in ((1, 0.4), (0, 0.3)):
        write.time_s += 10
        write.report(trial, {"error": error})
        write.event("completed", trial, metrics={"error": error})
    table = frames.convergence(spec({"error": "minimize"}), write.log)
    assert table[["order", "trial", "elapsed_s", "best"]].to_numpy().tolist() == [[1, 1, 10, 0.4], [2, 0, 20, 0.3]]


def test_hypervolume_up_to_a_given_reference() -> None:
    """Error below 1 and speed above 0: areas of rectangles, added by hand."""
    study = spec({"error": {"goal": "minimize", "reference": 1.0}, "speed": {"goal": "maximize", "reference": 0.0}})
    log = two((0.5, 2), (0.25, 1), (0.6, 1.5), (1.5, 10), (0.25, 4))
    table = frames.hypervolume(study, log)
    assert list(table) == ["order", "trial", "elapsed_s", "hypervolume"]
    assert listed(table["order"]) == [1, 2, 3, 4, 5]
    # 0.5 x 2; a strip of 0.25 x 1 more; dominated; worse than the reference; 0.75 x 4 holds all that was before
    assert listed(table["hypervolume"]) == pytest.approx([1.0, 1.25, 1.25, 1.25, 3.0])
    assert outcomes.hypervolume(study, log) == pytest.approx(3.0)


def test_hypervolume_up_to_an_inferred_reference() -> None:
    """The front's worst values, 3 and 4, and a tenth of its extents of 2 beyond them: (3.2, 4.2)."""
    study = spec({"error": "minimize", "speed": "minimize"})
    log = two((1, 4), (3, 2), (3, 5))
    assert outcomes.reference(study, log).tolist() == pytest.approx([3.2, 4.2])
    # 2.2 x 0.2; then 0.2 x 2.2 more, of which 0.2 x 0.2 was counted; the third is dominated
    assert listed(frames.hypervolume(study, log)["hypervolume"]) == pytest.approx([0.44, 0.84, 0.84])


def test_a_reference_given_for_one_objective_stays_beside_an_inferred_one() -> None:
    study = spec({"error": "minimize", "speed": {"goal": "maximize", "reference": 1.0}})
    log = two((1, 4), (3, 5))
    assert study.objectives.natural(outcomes.reference(study, log)) == pytest.approx({"error": 3.2, "speed": 1.0})
    # 2.2 x 3; and 0.2 x 1 more
    assert listed(frames.hypervolume(study, log)["hypervolume"]) == pytest.approx([6.6, 6.8])


def test_no_front_no_hypervolume() -> None:
    study = spec({"error": "minimize", "speed": "maximize"})
    assert outcomes.hypervolume(study, Log()) is None
    assert frames.hypervolume(study, Log()).empty
    assert frames.convergence(study, Log()).empty


@given(seed=st.integers(0, 10_000), objectives=st.sampled_from([1, 2, 3]))
def test_progress_never_goes_back(seed: int, objectives: int) -> None:
    study = synthetic.spec(objectives=objectives, trials=12)
    log = synthetic.log(study, seed=seed)
    volumes = listed(frames.hypervolume(study, log)["hypervolume"])
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(outcomes.hypervolume(study, log))
    table = frames.convergence(study, log)
    for objective in study.objectives:
        best = [objective.sign * value for value in listed(table.loc[table["objective"] == objective.name, "best"])]
        assert best == sorted(best, reverse=True)
        assert frames.best(study, log, objective.name).metrics[objective.name] == objective.sign * best[-1]


# -- time and learning curves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tidily", [True, False])
def test_the_time_before_a_resume_is_not_worked(tidily: bool) -> None:
    """A resume begins with `opened`; a driver that was killed leaves no `interrupted` behind."""
    write = synthetic.Writer()
    write.event("opened")
    write.complete(0, {"lr": 0.5}, {"error": 0.2}, seconds=10)
    write.time_s += 2
    write.event("interrupted") if tidily else write.suggest(1, {"lr": 0.1})
    write.time_s += 86_400
    write.event("opened")
    write.complete(2, {"lr": 0.5}, {"error": 0.1}, seconds=5)
    table = frames.convergence(spec({"error": "minimize"}), write.log)
    assert listed(table["elapsed_s"]) == [10.0, 17.0]
    assert outcomes.worked(write.log) == 17.0


def test_a_clock_that_is_set_back_takes_no_time_away() -> None:
    write = synthetic.Writer()
    write.event("opened")
    write.complete(0, {"lr": 0.5}, {"error": 0.2}, seconds=10)
    write.time_s -= 3600
    write.complete(1, {"lr": 0.5}, {"error": 0.1}, seconds=5)
    assert outcomes.worked(write.log) == 15.0


def test_learning_curves_hold_every_report_and_metric() -> None:
    write = synthetic.Writer()
    for trial in (0, 1):
        write.start(trial, {"lr": 0.5})
        write.report(trial, {"error": 0.5 - trial / 8, "loss": 2.0}, resource=10)
        write.report(trial, {"error": 0.25 - trial / 8}, resource=20)
    study = spec({"error": "minimize"})
    table = frames.learning_curves(study, write.log)
    assert list(table) == ["trial", "status", "metric", "resource", "step", "value"]
    assert table[["trial", "metric", "resource", "step", "value"]].to_numpy().tolist() == [
        [0, "error", 10.0, 1, 0.5],
        [0, "loss", 10.0, 1, 2.0],
        [0, "error", 20.0, 2, 0.25],
        [1, "error", 10.0, 1, 0.375],
        [1, "loss", 10.0, 1, 2.0],
        [1, "error", 20.0, 2, 0.125],
    ]
    assert set(frames.learning_curves(study, write.log, ["loss"])["metric"]) == {"loss"}


def test_a_stretch_that_a_restart_repeats_counts_as_it_was_the_last_time() -> None:
    """Three epochs, a dead worker, on from the checkpoint of the first: epochs two and three came twice."""
    write = synthetic.Writer()
    write.start(0, {"lr": 0.5})
    for epoch, error in ((1, 0.9), (2, 0.8), (3, 0.7)):
        write.report(0, {"error": error}, resource=epoch)
    write.event("started", 0, attempt=2)
    for epoch, error in ((2, 0.6), (3, 0.5), (4, 0.4)):
        write.report(0, {"error": error}, resource=epoch)
    table = frames.learning_curves(spec({"error": "minimize"}), write.log)
    assert listed(table["resource"]) == [1.0, 2.0, 3.0, 4.0]
    assert listed(table["value"]) == [0.9, 0.6, 0.5, 0.4]
    assert listed(table["step"]) == [1, 4, 5, 6]


# -- what it cost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({}, (2.0, "worker-hours")),
        ({"gpus": 0, "cpus": 3}, (6.0, "CPU-hours")),
        ({"gpus": 2, "cpus": 3}, (4.0, "GPU-hours")),
    ],
)
def test_work_is_counted_in_what_a_worker_holds(train: Mapping[str, Any], expected: tuple[float, str]) -> None:
    study = spec({"error": "minimize"}).with_changes({"train": train})
    write = synthetic.Writer()
    for trial in (0, 1):
        write.complete(trial, {"lr": 0.5}, {"error": 0.2}, seconds=3600)
    assert outcomes.work(study, write.log) == expected
