"""Which commands there are, and how the help groups them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from paretune.cli import _cluster, _results, _run, _setup

app = typer.Typer(
    help="Hyperparameter search for expensive, distributed PyTorch training on Ray.",
    epilog="[dim]Start here:[/]  paretune run cnn  [dim]and then[/]  paretune report cnn --open",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PANELS: dict[str, dict[str, Callable[..., Any]]] = {
    "Searching": {"run": _run.run, "resume": _run.resume},
    "Results": {
        "list": _results.list_studies,
        "show": _results.show,
        "best": _results.best,
        "report": _results.report,
        "export": _results.export,
    },
    "Getting ready": {"trainables": _setup.trainables, "validate": _setup.validate, "doctor": _setup.doctor},
    "Clusters": {
        "submit": _cluster.submit,
        "jobs": _cluster.jobs,
        "logs": _cluster.logs,
        "stop": _cluster.stop,
    },
}


def _register(name: str, command: Callable[..., Any], panel: str) -> None:
    """Add a command; the `Example:` at the end of its docstring goes below its options."""
    text, _, example = (inspect.getdoc(command) or "").partition("\n\nExample: ")
    app.command(name, help=text, epilog=f"[dim]Example:[/]  {example}", rich_help_panel=panel)(command)


for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        _register(_name, _command, _panel)


def _print_version(wanted: bool) -> None:
    if wanted:
        from paretune import __version__

        typer.echo(f"paretune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, as PARETUNE_DEBUG=1 does; goes anywhere.")
    ] = False,
) -> None:
    """Only declares --debug: `main` has already taken it out, so that it may stand anywhere."""
