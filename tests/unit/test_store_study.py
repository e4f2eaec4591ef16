"""Creating, finding, reading and listing studies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from store_samples import PROVENANCE, SPACE, event, log_entries, report, spec

from paretune import store
from paretune.errors import SchemaError, StoreError, StoreLocationError, StudyExistsError, StudyNotFoundError
from paretune.store import _create
from paretune.store._tables import REPORTS, report_row

FIXTURES = Path(__file__).parents[1] / "fixtures"


def stored(location: Path, name: str = "cnn", *, trials: int = 3) -> None:
    store.create(spec(location, name), PROVENANCE)
    with store.Writer(str(location), name) as writer:
        for entry in log_entries(trials):
            writer.append(entry)


def test_a_study_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    made = spec(tmp_path, search={"trials": 7}, train={"epochs": 3, "config": {"width": 1e-5}})
    store.create(made, PROVENANCE, code=b"\x80pickle")
    entries = log_entries(3)
    with store.Writer(str(tmp_path), "cnn") as writer:
        for entry in entries:
            writer.append(entry)
    read = store.read(str(tmp_path), "cnn")
    assert read.spec == made
    assert read.provenance == PROVENANCE
    assert read.code == b"\x80pickle"
    assert read.log.entries == entries
    assert Path(read.folder) == tmp_path / "cnn"
    assert Path(store.checkpoint_root(read.folder)) == tmp_path / "cnn" / "checkpoints"


def test_a_new_study_is_empty_and_has_no_code(tmp_path: Path) -> None:
    assert not store.exists(str(tmp_path), "cnn")
    store.create(spec(tmp_path), PROVENANCE)
    assert store.exists(str(tmp_path), "cnn")
    read = store.read(str(tmp_path), "cnn")
    assert (read.log.entries, read.code) == ([], None)


def test_a_relative_store_and_a_file_uri_are_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store.create(spec("results"), PROVENANCE)
    assert store.exists((tmp_path / "results").as_uri(), "cnn")
    assert Path(store.read("results", "cnn").folder).is_absolute()


def test_amendments_change_the_spec_that_is_read(tmp_path: Path) -> None:
    stored(tmp_path)
    with store.Writer(str(tmp_path), "cnn") as writer:
        writer.append(event(writer.position, "amended", details={"search": {"trials": 60}}))
        writer.append(event(writer.position, "amended", details={"search": {"concurrency": 4}}))
    search = store.read(str(tmp_path), "cnn").spec.search
    assert (search.trials, search.concurrency) == (60, 4)
    assert store.summaries(str(tmp_path))[0].budget == 60


def test_a_second_study_of_the_name_is_refused_and_the_first_left_alone(tmp_path: Path) -> None:
    stored(tmp_path)
    with pytest.raises(StudyExistsError, match="'cnn' is there already"):
        store.create(spec(tmp_path), PROVENANCE)
    assert len(store.read(str(tmp_path), "cnn").log.trials) == 3


@pytest.mark.parametrize("name", ["../cnn", "a/cnn", "..", "", ".cnn", "a\\b"])
def test_a_name_cannot_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    stored(tmp_path)
    for use in (store.read, store.exists, store.Writer):
        with pytest.raises(StudyNotFoundError, match="no path characters"):
            use(str(tmp_path / "inner"), name)


def test_an_unknown_study_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    stored(tmp_path)
    with pytest.raises(StudyNotFoundError, match="did you mean 'cnn'"):
        store.read(str(tmp_path), "cmn")
    assert not (tmp_path / "cmn").exists()


def test_a_place_that_cannot_be_written_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreLocationError, match="must be a place that can be written") as caught:
        store.create(spec(tmp_path / "file" / "store"), PROVENANCE)
    assert "\n" not in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_creation_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_create, "write_deltalake", full)
        with pytest.raises(StoreLocationError, match="no space left"):
            store.create(spec(tmp_path / "new" / "store"), PROVENANCE)
    assert list(tmp_path.iterdir()) == []
    store.create(spec(tmp_path / "new" / "store"), PROVENANCE)


def test_what_a_crashed_creation_left_does_not_stop_the_next(tmp_path: Path) -> None:
    stored(tmp_path)
    shutil.rmtree(tmp_path / "cnn" / "study")  # which is made last
    assert not store.exists(str(tmp_path), "cnn")
    store.create(spec(tmp_path), PROVENANCE)
    assert store.read(str(tmp_path), "cnn").log.entries == []


def test_a_newer_schema_is_refused_with_a_hint(tmp_path: Path) -> None:
    stored(tmp_path)
    table = DeltaTable(tmp_path / "cnn" / "study")
    table.update(updates={"schema_version": "2"})
    with pytest.raises(SchemaError, match=r"up to schema version 1, found 2\nhint: install") as caught:
        store.read(str(tmp_path), "cnn")
    assert store.summaries(str(tmp_path))[0].reason == caught.value.message


def test_a_store_of_version_1_is_read() -> None:
    read = store.read(str(FIXTURES / "store_v1"), "cnn")
    assert read.log.entries[:18] == log_entries(3)
    assert [entry.kind for entry in read.log.entries[18:]] == ["amended", "closed"]  # type: ignore[union-attr]
    assert (read.spec.search.trials, read.spec.space, read.code) == (60, SPACE, b"code")
    assert store.summaries(str(FIXTURES / "store_v1"))[0].state == "done"


def test_rows_that_vanished_or_came_from_elsewhere_are_reported_not_skipped(tmp_path: Path) -> None:
    stored(tmp_path)
    rows = pa.Table.from_pylist([report_row(report(3, 0, 9))], schema=REPORTS)
    write_deltalake(tmp_path / "cnn" / "reports", rows, mode="append")
    with pytest.raises(StoreError, match=r"positions must be 0, 1, 2 \.\.\., got 3 where 4 belongs"):
        store.read(str(tmp_path), "cnn")
    DeltaTable(tmp_path / "cnn" / "reports").delete("position = 3")
    with pytest.raises(StoreError, match="got 4 where 3 belongs"):
        store.read(str(tmp_path), "cnn")


def test_summaries_say_how_each_study_stands(tmp_path: Path) -> None:
    assert store.summaries(str(tmp_path / "nowhere")) == []
    store.create(spec(tmp_path, "a-new"), PROVENANCE)
    stored(tmp_path, "b-crashed")
    stored(tmp_path, "c-interrupted")
    stored(tmp_path, "d-done")
    for name, kind in (("c-interrupted", "interrupted"), ("d-done", "closed")):
        with store.Writer(str(tmp_path), name) as writer:
            writer.append(event(writer.position, "opened"))
            writer.append(event(writer.position, kind, reason=f"why {kind}"))
    (tmp_path / "not-a-study").mkdir()
    stored(tmp_path, "e-running")
    with store.Writer(str(tmp_path), "e-running"):
        found = {summary.name: summary for summary in store.summaries(str(tmp_path))}
    assert {name: summary.state for name, summary in found.items()} == {
        "a-new": "created",
        "b-crashed": "crashed",
        "c-interrupted": "interrupted",
        "d-done": "done",
        "e-running": "running",
    }
    done = found["d-done"]
    assert (done.reason, done.budget, done.trials) == ("why closed", 32, {"completed": 3})
    assert done.best == {"val_error": 1 / 6, "speed": 2.0}
    assert done.created_s == PROVENANCE.created_s


def test_duckdb_reads_parameters_and_metrics_as_typed_columns(tmp_path: Path) -> None:
    stored(tmp_path)
    events = DeltaTable(tmp_path / "cnn" / "events").to_pyarrow_table()
    reports = DeltaTable(tmp_path / "cnn" / "reports").to_pyarrow_table()
    connection = duckdb.connect()
    connection.register("events", events)
    connection.register("reports", reports)
    rows = connection.execute(
        """select e.trial, e.config.lr, e.config.layers, e.config.norm, max(r.metrics['val_error']), year(e.time)
           from events e join reports r using (trial) where e.kind = 'suggested' group by all order by 1"""
    ).fetchall()
    assert rows[0] == (0, 0.1 + 0.2, 3, "null", 0.5, 2023)
    assert [row[0] for row in rows] == [0, 1, 2]
    connection.close()


def test_duckdb_reads_the_data_files_alone(tmp_path: Path) -> None:
    stored(tmp_path)
    files = DeltaTable(tmp_path / "cnn" / "reports").file_uris()
    query = f"select count(*), sum(step) from read_parquet({files})"
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [(9, 18)]


def test_importing_the_store_imports_no_heavy_library() -> None:
    heavy = {"torch", "ray", "pandas", "optuna", "pyarrow.dataset"}
    code = f"import sys, paretune.store; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
