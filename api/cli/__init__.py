"""The `msm` command: every part of the mesh, and questions to a running one.

Each module adds its commands with `register`. What a command needs is imported inside it, so that help and completion
are there at once. Exit codes: 0 it worked, 1 it did not, 2 it was called wrongly.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from api.cli import bootstrap, check, end, peers, read, run
from api.cli.command import Command

__all__ = ["main", "make_app"]

DISTRIBUTION = "media-streaming-mesh"
_HELP = "A service mesh for real-time media: RTSP, RTP and UDP on Envoy."
_EPILOG = "Start with: msm demo. Every command explains itself: msm COMMAND --help"


def main() -> None:
    """Run `msm` with this process's arguments."""
    # We start Envoy, and never go on in a forked child; gRPC's handlers for that only cost and complain.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # One thread less hands on what arrives: a third less processor time for a push (docs/benchmarks.md).
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # what matters of a connection, we say ourselves
    make_app()()


def make_app() -> typer.Typer:
    """The command with all its subcommands."""
    app = typer.Typer(
        name="msm",
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,  # help is read in pipes too, and "[none]" in it is no markup
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_msm)
    for module in (run, bootstrap, peers, check, read, end):
        module.register(app)
    for command in app.registered_commands:
        command.cls = Command
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version(DISTRIBUTION))
        raise typer.Exit


def _msm(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
