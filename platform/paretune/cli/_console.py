"""Printing: results to standard output, errors and hints to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paretune.errors import ParetuneError

if TYPE_CHECKING:
    from paretune.cli._checks import Finding

_MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "broken": "[red]✗[/]"}
_WIDE = 200  # columns of a table that goes to a file or a pipe, where there is no terminal whose width to keep


def out() -> Console:
    """A console on standard output as it is now (tests and pipes replace it)."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def err() -> Console:
    """A console on standard error that never breaks lines: file names and hints stay in one piece."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_error(error: ParetuneError) -> None:
    """Two lines: what is wrong, what to do."""
    console = err()
    console.print("[bold red]error:[/]", end=" ")
    console.print(error.message, markup=False)
    if error.hint is not None:
        console.print("[bold cyan]hint:[/]", end=" ")
        console.print(error.hint, markup=False)


def finding(found: Finding) -> None:
    """One line of a diagnosis, and its hint."""
    console = out()
    console.print(f"{_MARKS[found.state]} [bold]{found.about}[/]", end="  ")
    console.print(found.found, markup=False, soft_wrap=True)
    if found.hint:
        console.print(f"    hint: {found.hint}", markup=False, soft_wrap=True)


def table(*headers: str) -> Table:
    """A plain table: a rule under the header, no other lines."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def add(table: Table, *cells: str) -> None:
    """Add a row as it is: a configuration or a reason may hold square brackets, which rich would read as markup."""
    table.add_row(*map(Text, cells))
