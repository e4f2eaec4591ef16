"""Making a study's folder: all of it or nothing."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from paretune.errors import ParetuneError, StoreLocationError, StudyExistsError
from paretune.records import Provenance
from paretune.store._columns import ConfigColumns
from paretune.store._lease import take
from paretune.store._location import Folder, brief, study_folder
from paretune.store._reader import CODE_FILE, exists
from paretune.store._tables import REPORTS, SCHEMA_VERSION, STUDY, events_schema, microseconds, table_configuration
from paretune.study import StudySpec


def create(spec: StudySpec, provenance: Provenance, *, code: bytes | None = None) -> None:
    """Make the folder `<spec.store>/<spec.name>` with its tables; `code` is the pickled training function.

    Raises StudyExistsError when there is one, StoreLocationError when it cannot be written; nothing is left then.
    """
    folder = study_folder(spec.store, spec.name)
    if exists(spec.store, spec.name):
        raise _exists(spec)
    made = _missing(folder)
    try:
        hold = take(folder)
        try:
            _build(folder, spec, provenance, code)
        except BaseException as error:
            if not isinstance(error, StudyExistsError):
                folder.remove_all()
            raise
        finally:
            hold.release()
    except ParetuneError:
        raise
    except Exception as error:  # the system's, deltalake's, plain ones: all say that the place is no good
        for path in made:
            _remove_if_empty(path)
        raise StoreLocationError(
            f"{spec.store}: must be a place that can be written, got: {brief(error)}",
            hint="give another folder or URI as store, or mend its permissions",
        ) from error


def check_writable(location: str) -> None:
    """Raise StoreLocationError unless a study can be made at the location; leaves nothing behind."""
    folder = Folder(location)
    made = _missing(folder)
    probe = f".probe-{uuid.uuid4().hex}"
    try:
        folder.write(probe, b"")
        folder.remove(probe)
    except Exception as error:  # the system's, object_store's
        raise StoreLocationError(
            f"{location}: must be a place that can be written, got: {brief(error)}",
            hint="give another folder or URI as store, or mend its permissions",
        ) from error
    finally:
        for path in made:
            _remove_if_empty(path)


def _build(folder: Folder, spec: StudySpec, provenance: Provenance, code: bytes | None) -> None:
    if exists(spec.store, spec.name):  # made by another process while this one waited for the hold
        raise _exists(spec)
    for name in ("events", "reports"):
        (folder / name).remove_all()  # left by a process that died here
    _make_table(folder / "events", events_schema(ConfigColumns(spec.space)))
    _make_table(folder / "reports", REPORTS)
    folder.remove(CODE_FILE)
    if code is not None:
        folder.write(CODE_FILE, code)
    # The table `study` comes last, with its row in the same commit: a study exists once it does.
    row = {
        "schema_version": SCHEMA_VERSION,
        "name": spec.name,
        "spec": json.dumps(spec.to_dict()),
        "created": microseconds(provenance.created_s),
        "created_s": provenance.created_s,
        "paretune": provenance.paretune,
        "versions": dict(provenance.versions),
        "git_commit": provenance.git_commit,
        "host": provenance.host,
    }
    write_deltalake(
        (folder / "study").uri,
        pa.Table.from_pylist([row], schema=STUDY),
        configuration=table_configuration(),
    )


def _make_table(folder: Folder, schema: pa.Schema) -> None:
    if folder.path is not None:
        folder.path.mkdir(parents=True, exist_ok=True)
    DeltaTable.create(folder.uri, schema, configuration=table_configuration())


def _missing(folder: Folder) -> list[Path]:
    """The folder and those above it that do not exist yet, innermost first."""
    return [] if folder.path is None else [p for p in (folder.path, *folder.path.parents) if not p.exists()]


def _remove_if_empty(path: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def _exists(spec: StudySpec) -> StudyExistsError:
    return StudyExistsError(
        f"{spec.store}: a study named {spec.name!r} is there already",
        hint="resume it, or choose another name",
    )
