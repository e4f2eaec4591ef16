"""Which commands there are, and how the help groups them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from paretune.cli import _cluster, _preflight, _results, _run, _setup

app = typer.Typer(
    help="Hyperparameter search for expensive, distributed PyTorch training on Ray.",
    epilog="Start here: paretune run cnn, and then: paretune report cnn --open",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# panel of the help -> command -> (function, example)
_COMMANDS: dict[str, dict[str, tuple[Callable[..., Any], str]]] = {
    "Searching": {
        "run": (_run.run, "paretune run search_spaces/cnn.yaml --trials 40 --concurrency 4"),
        "resume": (_run.resume, "paretune resume cnn --trials 60"),
    },
    "Results": {
        "list": (_results.list_studies, "paretune list --store s3://bucket/studies"),
        "show": (_results.show, "paretune show cnn --trial 7"),
        "best": (_results.best, "paretune best cnn --objective val_error"),
        "diagnose": (_results.diagnose, "paretune diagnose cnn"),
        "replay": (_results.replay, "paretune replay cnn"),
        "report": (_results.report, "paretune report cnn -o report.html --open"),
        "export": (_results.export, "paretune export cnn --format parquet -o cnn.parquet"),
    },
    "Getting ready": {
        "trainables": (_setup.trainables, "paretune trainables"),
        "validate": (_setup.validate, "paretune validate search_spaces/cnn.yaml"),
        "preflight": (_preflight.preflight, "paretune preflight search_spaces/cnn.yaml"),
        "doctor": (_setup.doctor, "paretune doctor --deep"),
    },
    "Clusters": {
        "submit": (_cluster.submit, "paretune submit search_spaces/cnn.yaml --address http://head:8265 --wait"),
        "jobs": (_cluster.jobs, "paretune jobs --address http://head:8265"),
        "logs": (_cluster.logs, "paretune logs raysubmit_4LamXRuQpYdSMg7J --follow"),
        "stop": (_cluster.stop, "paretune stop raysubmit_4LamXRuQpYdSMg7J"),
    },
}

for _panel, _panel_commands in _COMMANDS.items():
    for _name, (_function, _example) in _panel_commands.items():
        app.command(_name, epilog=f"Example: {_example}", rich_help_panel=_panel)(_function)


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
