"""Which earlier studies a study learns from: settled once, when it is created, and the same ever after.

`search.warm_start` asks for them, `search.sources` holds what that came to: each study with the length its log had
then. A log only grows, so its beginning can be read again, also of a study that runs on.
"""

from __future__ import annotations

from collections.abc import Iterator

from paretune import store
from paretune.earlier import Source, unfit
from paretune.errors import ParetuneError, SpecError, StudyNotFoundError
from paretune.settings import EarlierStudy
from paretune.store import StoredStudy
from paretune.study import StudySpec

MOST = 8
"""Studies taken from a store, the most recent ones: the weighing compares them all at every trial."""


def settled(spec: StudySpec) -> StudySpec:
    """The spec with its sources: those it was created with, or what `warm_start` means now.

    Raises StudyNotFoundError for a study that is not there, SpecError for one that there is nothing to learn from.
    """
    if spec.search.warm_start is None:
        return spec
    if store.exists(spec.store, spec.name):
        sources = store.read(spec.store, spec.name).spec.search.sources
    elif spec.search.sources is not None:  # the spec of a study made elsewhere
        return spec
    else:
        sources = tuple(_recent(spec) if spec.search.warm_start == "store" else _named(spec))
    return spec.model_copy(update={"search": spec.search.model_copy(update={"sources": sources})})


def read(spec: StudySpec) -> tuple[Source, ...]:
    """The sources of a settled spec; raises StudyNotFoundError where one is gone, or is another one by now."""
    return tuple(_again(entry, spec) for entry in spec.search.sources or ())


def _named(spec: StudySpec) -> Iterator[EarlierStudy]:
    assert isinstance(spec.search.warm_start, tuple)
    for name in dict.fromkeys(spec.search.warm_start):
        if name == spec.name:
            raise SpecError(f"warm_start: {name}: must be another study than the one that learns")
        try:
            stored = _stored(name, spec)
        except ParetuneError as error:
            raise error.located(f"warm_start: {name}") from None
        why = unfit(_source(name, stored), spec.space, spec.objectives)
        if why is not None:
            raise SpecError(f"warm_start: {name}: {why}", hint="leave it out, or warm_start: store takes what fits")
        yield _entry(name, stored)


def _recent(spec: StudySpec) -> list[EarlierStudy]:
    """The most recent studies of the store that fit; one that cannot be read is passed over, as in any listing."""
    found: list[EarlierStudy] = []
    created = {s.name: s.created_s for s in store.summaries(spec.store) if s.state != "unreadable"}
    for name in sorted(created, key=lambda name: (-created[name], name)):
        if len(found) == MOST:
            break
        try:
            stored = _stored(name, spec)
        except ParetuneError:  # damaged: as unreadable as those that the summary found so
            continue
        if name != spec.name and unfit(_source(name, stored), spec.space, spec.objectives) is None:
            found.append(_entry(name, stored))
    return found


def _again(entry: EarlierStudy, spec: StudySpec) -> Source:
    where = f"study {spec.name}: learns from {entry.study}"
    hint = "bring that study back, or start a new one: without it the suggestions cannot be the same"
    try:
        stored = _stored(entry.study, spec)
    except StudyNotFoundError as error:
        raise StudyNotFoundError(f"{where}, which must still be there: {error.message}", hint=hint) from None
    if stored.provenance.created_s != entry.created_s or stored.log.position < entry.position:
        raise StudyNotFoundError(f"{where}, which must be the study it was, and another has its name now", hint=hint)
    return _source(entry.study, stored, entry.position)


def _stored(name: str, spec: StudySpec) -> StoredStudy:
    location, _, last = name.rpartition("/")
    return store.read(location or spec.store, last)


def _entry(name: str, stored: StoredStudy) -> EarlierStudy:
    """A study of another store is remembered by its whole path: where one resumes may be another folder."""
    study = stored.folder if "/" in name else name
    return EarlierStudy(study=study, position=stored.log.position, created_s=stored.provenance.created_s)


def _source(name: str, stored: StoredStudy, position: int | None = None) -> Source:
    log = stored.log if position is None else stored.log.before(position)
    return Source(
        name=name, space=stored.spec.space, objectives=stored.spec.objectives, observations=tuple(log.history)
    )
