"""`list`, `show`, `best`, `diagnose`, `replay`, `report`, `export`: what the store holds.

Without ray, and without torch but for what a model has to say: `best`, `diagnose` and `report` from five results on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from paretune._defaults import STORE
from paretune.cli._options import Name, Store
from paretune.errors import InputError

if TYPE_CHECKING:
    from paretune.flow import Study
    from paretune.log import Trial
    from paretune.records import Descent, Event, Suggestion

Format = Literal["csv", "parquet", "json"]


def list_studies(store: Store = STORE) -> None:
    """List a store's studies: how far each is, its best values."""
    from paretune.cli import _console
    from paretune.report import text
    from paretune.store import summaries

    console = _console.out()
    found = summaries(store)
    if not found:
        console.print(f"no studies in {store}; start one with: paretune run cnn", markup=False)
        return
    table = _console.table("study", "state", "trials", "best", "created")
    for summary in sorted(found, key=lambda summary: summary.created_s):
        best = "  ".join(f"{name} {text.number(value)}" for name, value in summary.best.items())
        if summary.state == "unreadable":
            _console.add(table, summary.name, summary.state, "", summary.reason or "", "")
            continue
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.created_s))
        _console.add(table, summary.name, summary.state, _counted(summary.trials, summary.budget), best, created)
    console.print(table)


def show(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="Show this trial alone, with its traceback if it failed.")] = None,
    store: Store = STORE,
) -> None:
    """Show how far a study is, its Pareto front, and what failed."""
    from paretune import flow

    study = flow.load(name, store=store)
    if trial is not None:
        _show_trial(study, trial)
    else:
        _show_study(study)


def best(
    name: Name,
    objective: Annotated[
        str | None, typer.Option(help="Which objective counts; needed when there are several.")
    ] = None,
    store: Store = STORE,
) -> None:
    """Print the best configuration as YAML."""
    import yaml

    from paretune import flow
    from paretune.report import text

    recommended = flow.load(name, store=store).recommendation(objective)
    chosen = recommended.trial
    values = "  ".join(f"{metric} {text.number(value)}" for metric, value in chosen.metrics.items())
    typer.echo(f"# trial {chosen.id} of {name}: {values}")
    if recommended.low is not None:
        mean = text.estimate(recommended.expected, recommended.low, recommended.high)
        typer.echo(f"# {recommended.objective} on average, with its 90 % interval: {mean}")
    typer.echo(yaml.safe_dump(dict(chosen.config), sort_keys=False), nl=False)


def diagnose(
    name: Name,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    store: Store = STORE,
) -> None:
    """Tell how far a study's model can be trusted, and what would help the search."""
    import json

    from paretune import flow
    from paretune.cli import _console
    from paretune.report import text

    found = flow.load(name, store=store).diagnose()
    if json_:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    console = _console.out()
    console.print(f"{found.study}: {found.completed} of {text.plural(found.trials, 'trial')} completed", markup=False)
    for best in found.best:
        mean = text.estimate(best.expected, best.low, best.high)
        console.print(f"  best {best.objective}: trial {best.trial.id}, on average {mean}", markup=False)
    for finding in found.findings:
        console.print("[yellow]![/]" if finding.state == "warning" else "[green]✓[/]", end=" ")
        console.print(finding.about, style="bold", markup=False, end="  ")
        console.print(finding.found, markup=False, soft_wrap=True)
        if finding.advice:
            console.print(f"    advice: {finding.advice}", markup=False, soft_wrap=True)


def replay(name: Name, store: Store = STORE) -> None:
    """Compute every suggestion and every decision once more from the log; exit code 1 where one differs."""
    from paretune import flow
    from paretune.report import text

    found = flow.load(name, store=store).replay()
    counts = f"{text.plural(found.suggestions, 'suggestion')} and {text.plural(found.decisions, 'decision')} replayed"
    typer.echo(f"{counts}: {'no difference' if found.difference is None else 'a difference'}")
    if found.difference is not None:
        typer.echo(str(found.difference))
        raise typer.Exit(1)


def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; report.html in the study's folder unless given.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    store: Store = STORE,
) -> None:
    """Write a study's report: one HTML file that needs no network."""
    from paretune import flow
    from paretune.cli._run import report_path

    study = flow.load(name, store=store)
    path = output or report_path(study)
    try:
        written = study.report(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    typer.echo(f"report: {written}")
    if open_:
        typer.launch(str(written))


def export(
    name: Name,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Told by the file's ending, else csv, unless given.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; standard output unless given.")
    ] = None,
    store: Store = STORE,
) -> None:
    """Write a table with a row per trial as csv, parquet or json."""
    from paretune import flow

    kind = format_ or _format_of(output)
    if kind == "parquet" and output is None and sys.stdout.isatty():
        raise InputError("export: parquet is binary and not for a terminal", hint="add -o FILE.parquet")
    data = _exported(flow.load(name, store=store), kind)
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise _cannot_write(output, error) from error


def _show_study(study: Study) -> None:
    from paretune import progress, stopping
    from paretune.cli import _console
    from paretune.report import outcomes, text

    console = _console.out()
    counts = _counted(outcomes.counts(study.log), study.spec.search.trials)
    console.print(study.name, style="bold", end="  ")
    console.print(f"{study.spec.trainable}  {counts}", markup=False, soft_wrap=True)
    place = f"{study.store}/{study.name}, made on {study.provenance.host}"
    console.print(place, style="dim", markup=False, soft_wrap=True)
    over = stopping.recorded(study.log)
    if over is not None:
        console.print(f"ended: {over}", markup=False, soft_wrap=True)
    if study.spec.search.sources:
        earlier = ", ".join(source.study for source in study.spec.search.sources)
        console.print(f"learns from {earlier}", style="dim", markup=False, soft_wrap=True)
    console.print(progress.front_table(study.spec, study.log))
    failures = [trial for trial in study.log.ended if trial.status in ("failed", "diverged")]
    if failures:
        table = _console.table("trial", "status", "reason", "configuration")
        for trial in failures:
            _console.add(table, str(trial.id), trial.status, trial.reason or "", text.config(trial.config))
        console.print(table)
        console.print(f"paretune show {study.name} --trial {failures[0].id} shows its traceback", style="dim")


def _show_trial(study: Study, number: int) -> None:
    from paretune.cli import _console
    from paretune.records import Event
    from paretune.report import text

    trials = study.log.trials
    if number not in trials:
        known = f"0 to {max(trials)}" if trials else "none yet"
        raise InputError(f"study {study.name}: no trial {number}", hint=f"its trials are {known}")
    trial = trials[number]
    console = _console.out()
    table = _console.table("", "")
    table.show_header = False
    about = [entry for entry in study.log.entries if isinstance(entry, Event) and entry.trial == number]
    for label, value in _facts(study, trial, about):
        _console.add(table, label, value)
    for parameter, given in trial.config.items():
        _console.add(table, parameter, text.value(given))
    console.print(table)
    if trial.traceback:
        console.print(trial.traceback, markup=False, soft_wrap=True)


def _facts(study: Study, trial: Trial, about: Sequence[Event]) -> list[tuple[str, str]]:
    from paretune.report import text

    proposal, starts = trial.suggestion.proposal, [event for event in about if event.kind == "started"]
    facts = [
        ("trial", str(trial.id)),
        ("status", trial.status if trial.reason is None else f"{trial.status}: {trial.reason}"),
        ("came from", _origin(trial.suggestion)),
        *_descent(proposal.descent),
        *([("judged", "at its end alone: it is trained whole")] if proposal.whole else []),
        ("time", f"{text.duration(trial.seconds)}, started {len(starts)} time{'' if len(starts) == 1 else 's'}"),
        *[(f"attempt {start.attempt}", f"after {start.reason}") for start in starts if start.reason is not None],
        *[(f"attempt {slow.attempt}", str(slow.reason)) for slow in about if slow.kind == "straggling"],
        ("reports", f"{trial.step}, resource {text.number(trial.resource)}"),
    ]
    for metric, value in trial.metrics.items():
        facts.append((metric, text.number(value) + _predicted(metric, proposal.mean, proposal.sd)))
    facts += [("learns from", said) for said in _trust(proposal.notes.get("sources", {}))]
    facts += [("beyond a limit", broken) for broken in study.spec.objectives.broken(trial.metrics)]
    if trial.checkpoint:
        facts.append(("checkpoint", trial.checkpoint))
    return facts


def _origin(suggestion: Suggestion) -> str:
    """Which algorithm, chosen by whom and why, and which of its parts."""
    chosen = suggestion.proposal.notes.get("auto")
    why = "" if chosen is None else f" ({chosen['algorithm']}: {chosen['because']})"
    return f"{suggestion.algorithm}{why}, {suggestion.proposal.origin}"


def _descent(descent: Descent | None) -> list[tuple[str, str]]:
    """Whose training it goes on with, and whose place it takes."""
    if descent is None:
        return []
    goes_on = [] if descent.parent is None else [("goes on from", f"trial {descent.parent} at {descent.resource:g}")]
    return [*goes_on, ("in place of", f"trial {descent.instead_of}")]


def _trust(sources: Mapping[str, Mapping[str, float]]) -> list[str]:
    """How far each objective's model trusts earlier studies: `val_error: old 98%`."""
    return [
        f"{objective}: " + (", ".join(f"{name} {weight:.0%}" for name, weight in weights.items()) or "none of them")
        for objective, weights in sources.items()
    ]


def _predicted(metric: str, mean: Mapping[str, float] | None, sd: Mapping[str, float] | None) -> str:
    from paretune.report import text

    if mean is None or sd is None or metric not in mean:
        return ""
    return f"  (predicted {text.number(mean[metric])} ± {text.number(sd[metric])})"


def _counted(counts: Mapping[Any, int], budget: int) -> str:
    """`22/24, 1 failed, 1 running`."""
    done = counts.get("completed", 0) + counts.get("stopped", 0)
    others = [
        f"{counts[status]} {status}" for status in ("failed", "diverged", "running", "paused") if counts.get(status)
    ]
    return ", ".join([f"{done}/{budget}", *others])


def _format_of(output: Path | None) -> Format:
    endings: dict[str, Format] = {".parquet": "parquet", ".json": "json"}
    return endings.get(output.suffix if output else "", "csv")


def _exported(study: Study, kind: Format) -> bytes:
    if kind == "parquet":
        import io

        from pyarrow import parquet

        buffer = io.BytesIO()
        parquet.write_table(study.to_arrow(), buffer)
        return buffer.getvalue()
    frame = study.to_pandas()
    if kind == "json":
        return f"{frame.to_json(orient='records', date_format='iso', double_precision=15, indent=2)}\n".encode()
    return str(frame.to_csv(index=False)).encode()


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror or error}", hint="choose another file with -o")
