"""The command that validates documents without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog="In a folder of documents, before it goes live: msm check -f mesh/")(check)


def check(
    files: Annotated[list[Path], typer.Option("-f", "--file", help="A file or folder of documents; repeatable.")],
) -> None:
    """Validate documents without running anything.

    Prints every mistake with its file, line and field. The exit code is 0 when a mesh can be made of them, 1 when not.
    """
    from api.cli.output import fail
    from mesh.documents import DocumentErrors
    from xds_server.sources import load

    try:
        part = load(files)
    except DocumentErrors as errors:
        fail(str(errors))
    typer.echo(f"good: {_count(len(part.routes), 'route')}, {_count(len(part.backends), 'backend')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
