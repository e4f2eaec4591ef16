"""The same store below a URI: tables by conditional puts, the writer's hold by a lease."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from s3_server import s3_server
from store_samples import PROVENANCE, event, log_entries, spec

from paretune import store
from paretune.errors import FencedError, StoreLocationError, StudyBusyError, StudyExistsError, StudyNotFoundError
from paretune.store import _lease, _maintenance
from paretune.store._location import Folder

LOCATION = "s3://bucket/some/store"


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        store.create(spec(LOCATION), PROVENANCE, code=b"code")
        yield LOCATION


def test_a_study_comes_back_as_it_was_stored(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_maintenance, "COMMITS", 5)
    entries = log_entries(4)
    with store.Writer(location, "cnn") as writer:
        for entry in entries:
            writer.append(entry)
            writer.flush()
        assert store.summaries(location)[0].state == "running"
    read = store.read(location, "cnn")
    assert (read.log.entries, read.code, read.folder) == (entries, b"code", f"{location}/cnn")
    assert store.checkpoint_root(read.folder) == f"{location}/cnn/checkpoints"
    assert store.summaries(location)[0].state == "crashed"


def test_names_are_found_or_refused_as_on_a_disk(location: str) -> None:
    with pytest.raises(StudyExistsError):
        store.create(spec(location), PROVENANCE)
    with pytest.raises(StudyNotFoundError, match="did you mean 'cnn'"):
        store.read(location, "cmn")
    assert store.summaries("s3://bucket/elsewhere") == []


def test_a_second_writer_is_refused_while_the_lease_is_fresh_and_fences_the_first_after(location: str) -> None:
    entries = log_entries(1)
    old = store.Writer(location, "cnn")
    old.append(entries[0])
    old.flush()
    with pytest.raises(StudyBusyError, match="it is process"):
        store.Writer(location, "cnn")
    _age(location, _lease.EXPIRY_S + 1)
    with store.Writer(location, "cnn") as new:
        for entry in entries[1:]:
            new.append(entry)
        old.append(event(1, "opened"))
        with pytest.raises(FencedError):
            old.flush()
        with pytest.raises(FencedError):
            old.close()
        with pytest.raises(StudyBusyError):  # the old one's end did not end the new one's lease
            store.Writer(location, "cnn")
    assert store.read(location, "cnn").log.entries == entries


def test_a_lease_is_renewed_while_its_writer_lives_and_gone_with_it(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lease, "RENEW_S", 0.05)
    folder = Folder(location) / "cnn"
    with store.Writer(location, "cnn"):
        _age(location, 1000)
        deadline = time.monotonic() + 60
        while _lease.holder(folder) is None:
            assert time.monotonic() < deadline, "the lease was never renewed"
            time.sleep(0.05)
    assert folder.read("writer.json") is None


def test_a_scheme_that_does_not_exist_is_reported_in_one_line() -> None:
    location = "nowhere://bucket/store"
    for use in (
        lambda: store.create(spec(location), PROVENANCE),
        lambda: store.read(location, "cnn"),
        lambda: store.summaries(location),
    ):
        with pytest.raises(StoreLocationError, match="Unknown scheme: nowhere") as caught:
            use()
        assert "\n" not in caught.value.message


def test_an_endpoint_that_does_not_answer_is_reported_and_not_taken_for_an_empty_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with s3_server() as environment:  # its port is free again afterwards
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
    for use in (lambda: store.read(LOCATION, "cnn"), lambda: store.summaries(LOCATION)):
        with pytest.raises(StoreLocationError, match=r"must be a store that can be read.*tcp connect error"):
            use()


def _age(location: str, seconds: float) -> None:
    """Set the time of the lease's renewal back."""
    folder = Folder(location) / "cnn"
    data = folder.read("writer.json")
    assert data is not None
    lease = json.loads(data)
    folder.write("writer.json", json.dumps({**lease, "renewed_s": lease["renewed_s"] - seconds}).encode())
