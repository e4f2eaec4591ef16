"""Reading a study: the entries of both tables in one order, up to the first that is missing.

A batch's reports are committed before its events. Between the two commits, or after a crash there, positions that
belong to the events are missing: what counts is the log up to the first gap, and the reports beyond it never happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable

from paretune import schedulers, study
from paretune.errors import SchemaError, StoreError, StoreLocationError, StudyNotFoundError, nearest
from paretune.log import Log
from paretune.records import Entry, Event, Provenance, Report
from paretune.store._columns import ConfigColumns
from paretune.store._location import Folder, brief, studies_in, study_folder
from paretune.store._tables import SCHEMA_VERSION, event_of, report_of
from paretune.study import StudySpec

T = TypeVar("T")
CODE_FILE = "code.pkl"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """All that is stored of a study.

    `spec` has the amendments applied that the log records; `code` is the pickled training function, None when it is
    found by its name; `folder` is the study's own path or URI.
    """

    spec: StudySpec
    provenance: Provenance
    log: Log
    code: bytes | None
    folder: str


@dataclass(frozen=True, slots=True)
class Header:
    """What was stored when the study was created."""

    folder: Folder
    spec: StudySpec
    columns: ConfigColumns
    provenance: Provenance


def exists(location: str, name: str) -> bool:
    """Whether there is such a study."""
    uri = (study_folder(location, name) / "study").uri
    try:
        return DeltaTable.is_deltatable(uri)
    except Exception as error:  # credentials, network, a bad URI: deltalake has no common class for them
        raise StoreLocationError(f"{location}: must be a store that can be read: {brief(error)}") from error


def read(location: str, name: str) -> StoredStudy:
    """Everything a study has committed; safe while it is being written.

    Raises StudyNotFoundError, SchemaError (written by a newer paretune), StoreError (damaged).
    """
    header = read_header(location, name)
    entries, _ = read_entries(header)
    return assemble(header, entries)


def assemble(header: Header, entries: Sequence[Entry]) -> StoredStudy:
    """The stored study of a header and its entries."""
    folder = header.folder
    try:
        log = Log(entries, rungs=schedulers.create(header.spec).rungs)
    except (KeyError, ValueError) as error:
        raise StoreError(f"{folder.uri}: the log is damaged: {error}") from error
    changes = [entry.details for entry in entries if isinstance(entry, Event) and entry.kind == "amended"]
    spec = reduce(StudySpec.with_changes, changes, header.spec)
    return StoredStudy(spec, header.provenance, log, folder.read(CODE_FILE), folder.uri)


def read_header(location: str, name: str) -> Header:
    """The row of the `study` table."""
    folder = study_folder(location, name)
    if not exists(location, name):
        raise StudyNotFoundError(f"{location}: no study named {name!r} there", hint=nearest(name, studies_in(location)))
    uri = (folder / "study").uri
    _check_version(folder, scan(uri, ["schema_version"]).to_pylist()[0]["schema_version"])
    row = scan(uri).to_pylist()[0]
    spec = study.build({**json.loads(row["spec"]), "store": location}, where=folder.uri)
    provenance = Provenance(
        created_s=row["created_s"],
        paretune=row["paretune"],
        versions=dict(row["versions"]),
        git_commit=row["git_commit"],
        host=row["host"],
    )
    return Header(folder, spec, ConfigColumns(spec.space), provenance)


def _check_version(folder: Folder, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"{folder.uri}: this paretune reads stores up to schema version {SCHEMA_VERSION}, found {version}",
            hint="install the paretune that wrote it, or a newer one",
        )


def read_entries(header: Header) -> tuple[list[Entry], int]:
    """The log's entries in order, and how many reports lie beyond its first gap."""
    # Events first: each one's reports were committed before it, so they are in the later snapshot.
    columns = header.columns
    events = _rows(header.folder / "events", lambda row: event_of(row, columns))
    reports = _rows(header.folder / "reports", report_of)
    found: list[Entry] = sorted([*events, *reports], key=lambda entry: entry.position)
    end = next((i for i, entry in enumerate(found) if entry.position != i), len(found))
    beyond = found[end:]
    if any(isinstance(entry, Event) or entry.position < end for entry in beyond):
        raise StoreError(
            f"{header.folder.uri}: positions must be 0, 1, 2 ..., got {beyond[0].position} where {end} belongs",
            hint="rows were removed or added by something other than paretune",
        )
    return found[:end], sum(isinstance(entry, Report) for entry in beyond)


def _rows(folder: Folder, decode: Callable[[dict[str, Any]], T]) -> list[T]:
    return [decode(row) for row in scan(folder.uri).to_pylist()]


def scan(uri: str, columns: list[str] | None = None) -> pa.Table:
    """A table's rows (in no order) without the column `time`, whose values `time_s` holds exactly.

    Tries again when a file was compacted away between opening the table and reading it.
    """
    for left in reversed(range(_TRIES)):
        try:
            table = DeltaTable(uri)
            names = columns or [field.name for field in table.schema().fields if field.name != "time"]
            return pa.table(table.scan(columns=names))
        except Exception as error:
            if not left:
                raise StoreError(f"{uri}: cannot be read: {brief(error)}") from error
    raise AssertionError("unreachable")
