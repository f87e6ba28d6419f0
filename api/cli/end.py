"""The command that ends a session."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.read import API_DEFAULT, Api


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog="Which sessions there are: msm sessions")(end)


def end(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="Id of the session, as msm sessions shows it.")],
    api: Api = API_DEFAULT,
) -> None:
    """End a player's session in a running mesh.

    The RTSP proxy closes the player's connection and the camera's. Nothing keeps the player from coming back.
    """
    from urllib.parse import quote

    from api.cli.client import fetch
    from api.models import Session

    found = fetch(api, f"/v1/sessions/{quote(session, safe='')}", Session, method="DELETE")
    typer.echo(f"{found.proxy} was asked to end session {found.id} of {found.client_address}")
