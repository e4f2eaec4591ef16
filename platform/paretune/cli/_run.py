"""`run` and `resume`: start a study or go on with it, watch it, and show what came of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paretune._defaults import STORE
from paretune.cli._options import Address, Concurrency, Name, Set, Store, Until, stopping

if TYPE_CHECKING:
    from paretune.flow import Study

_SPEC_HELP = "A spec file, or the name of a trainable that has a ready one (`paretune trainables` lists them)."


@stopping
def run(
    spec: Annotated[str, typer.Argument(metavar="SPEC|TRAINABLE", help=_SPEC_HELP, show_default=False)],
    until: Until,
    concurrency: Concurrency = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes of each trial.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness in the search.")] = None,
    store: Annotated[str | None, typer.Option(help="Folder or URI of the results store.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; the spec file's name unless given.")] = None,
    address: Address = None,
    set_: Set = None,
) -> None:
    """Search as a spec says, or go on with its study."""
    from paretune.cli import _specs

    options = {
        **until.settings("search."),
        "search.concurrency": concurrency,
        "search.seed": seed,
        "train.workers": workers,
        "store": store,
        "name": name,
    }
    study_spec, folder = _specs.read(spec, _specs.changes(options, set_ or ()))

    from paretune import flow, progress
    from paretune.cli import _console

    try:
        listener = progress.choose(_console.out())
        study = flow.run(study_spec, base=folder, address=address, listeners=[listener])
    except KeyboardInterrupt:
        _say_how_to_resume(study_spec.name, study_spec.store)
        raise
    _show_outcome(study)


@stopping
def resume(
    name: Name,
    until: Until,
    concurrency: Concurrency = None,
    store: Store = STORE,
    address: Address = None,
) -> None:
    """Go on with a study, with a new budget if one is given."""
    from paretune import flow, progress
    from paretune.cli import _console

    settings = until.settings()
    study = flow.load(name, store=store)
    try:
        listener = progress.choose(_console.out())
        study = study.resume(**settings, concurrency=concurrency, address=address, listeners=[listener])
    except KeyboardInterrupt:
        _say_how_to_resume(name, store)
        raise
    _show_outcome(study)


def report_path(study: Study) -> Path:
    """Where a study's page belongs: in its own folder, or here when that is not on this machine."""
    store = study.store.removeprefix("file://")
    return Path(f"{study.name}-report.html") if "://" in store else Path(store) / study.name / "report.html"


def _show_outcome(study: Study) -> None:
    from paretune import progress, stopping
    from paretune.cli import _console

    console = _console.out()
    console.print(progress.front_table(study.spec, study.log))
    over = stopping.reason(study.spec, study.log)
    if over is not None:
        console.print(f"{over}; to go on, resume with more than that", markup=False, soft_wrap=True)
    console.print(f"report: {study.report(report_path(study))}", soft_wrap=True, markup=False)


def _say_how_to_resume(name: str, location: str) -> None:
    from paretune import store
    from paretune.cli import _console

    if not store.exists(location, name):
        _console.err().print("interrupted before the first trial; nothing was written")
        return
    where = "" if location == STORE else f" --store {shlex.quote(location)}"
    _console.err().print(f"interrupted; nothing is lost. Go on with: paretune resume {name}{where}", markup=False)
