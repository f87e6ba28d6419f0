"""How commands speak: results on standard output, everything else on standard error.

What comes from a mesh, a camera or a file is shown as it is, never read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A pipe or file has no width: no cell is cut, so that grep and awk find whole values.
PIPE_WIDTH = 10_000
NOTHING = "-"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

Cell = str | int | Text | None


def console() -> Console:
    """Standard output."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what failed and end with that exit code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], whole: Collection[str] = ()) -> Table:
    """A table without lines, so that it can be copied and cut. None is shown as "-".

    Where the terminal is too narrow, cells go on on the next line, except in the columns that `whole` names.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.upper(), overflow="fold", no_wrap=column in whole)
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], nothing: str, whole: Collection[str] = ()
) -> None:
    """Print a table, or the sentence `nothing` where it has no rows."""
    if rows:
        console().print(table(columns, rows, whole))
    else:
        console().print(nothing)


def age(since: datetime) -> str:
    """How long ago that was: 12s, 3m5s, 2h10m, 4d3h."""
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m{seconds % _MINUTE}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h{seconds % _HOUR // _MINUTE}m"
    return f"{seconds // _DAY}d{seconds % _DAY // _HOUR}h"


def percent(share: float) -> str:
    """A share from 0 to 1 for people."""
    return f"{100 * share:.3g} %"


def _cell(value: Cell) -> Text:
    if isinstance(value, Text):
        return value
    return Text(NOTHING if value is None or value == "" else str(value))
