"""The command line: parse, call, print.

    _app        which commands there are, and how they are grouped
    _specs      a spec from a file or a trainable's name, and the options that change it
    _run        run, resume
    _results    list, show, best, report, export
    _setup      trainables, validate, doctor;  _checks holds what doctor looks at
    _cluster    submit, jobs, logs, stop
    _console    printing, errors

No module here imports torch or ray; what a command needs beyond the parser it imports when it is called.
"""

from __future__ import annotations

import os
import sys
import traceback


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments or os.environ.get("PARETUNE_DEBUG", "") not in ("", "0")

    from paretune.cli._app import app
    from paretune.errors import ParetuneError

    try:
        app([argument for argument in arguments if argument != "--debug"], prog_name="paretune")
    except ParetuneError as error:
        from paretune.cli import _console

        if debug:
            traceback.print_exc()
        _console.print_error(error)
        sys.exit(error.exit_code)
