"""The command that validates documents without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog="A folder of documents, before it goes live: msm check mesh/")(check)


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE|FOLDER", help="Documents; any number of files and folders.", show_default=False),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", metavar="FILE|FOLDER", help="The same, as msm up takes them; repeatable."),
    ] = None,
) -> None:
    """Validate documents without running anything.

    Prints every mistake with its file, line and field. The exit code is 0 when a mesh can be made of them, 1 when not,
    also because there is nothing in them. Ports of Gateways are compared with each other only: which are media ports,
    or another program's, msm up knows.
    """
    from api.cli.output import fail
    from mesh.documents import DocumentErrors
    from xds_server.sources import load

    given = [*(paths or ()), *(files or ())]
    if not given:
        raise typer.BadParameter("name a file or folder", param_hint="FILE|FOLDER")
    try:
        part = load(given)
    except DocumentErrors as errors:
        fail(str(errors))
    gateways, transport_routes = len(part.gateways), len(part.transport_routes)
    routes, backends = len(part.routes) + transport_routes, len(part.backends)
    if not (routes or backends or gateways or part.policies):
        fail(
            f"there is no route and no backend in {', '.join(map(str, given))} (in folders, *.yaml and *.yml are read)"
        )
    counts = [_count(routes, "route"), _count(backends, "backend")]
    if gateways:
        counts.append(_count(gateways, "gateway"))
    if part.policies:
        counts.append("1 policy" if len(part.policies) == 1 else f"{len(part.policies)} policies")
    typer.echo(f"good: {', '.join(counts)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
