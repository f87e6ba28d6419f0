"""Commands that are the other ends of a mesh: play, a measuring player, and camera, the bundled one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rtsp_filter.rtsp import Credentials

# Many sessions need an end; this is long enough for jitter and loss to mean something.
_SECONDS_OF_MANY = 10.0
# More sessions than this exhaust one process's ports and files.
_MAX_SESSIONS = 10_000
# Later than this is no jitter any more.
_MAX_JITTER_MS = 10_000.0
_MAX_PORT = 65535
# Where --user may stand without being seen in the list of processes.
_USER_VARIABLE = "MSM_CAMERA_USER"


class Transport(StrEnum):
    """How a player takes media."""

    UDP = "udp"
    TCP = "tcp"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(
        epilog="Ten seconds over TCP, for scripts: msm play rtsp://127.0.0.1:8554/lobby --transport tcp --seconds 10"
        " --json\n\nA hundred players at once: msm play rtsp://127.0.0.1:8554/lobby --sessions 100"
    )(play)
    app.command(
        epilog="A bad camera for the mesh: msm camera --port 9554 --loss 2% --jitter 30, then"
        " msm up --route /bad=rtsp://127.0.0.1:9554/any\n\nOne with a password, which other users of this machine do"
        " not see: MSM_CAMERA_USER=ann:wonderland msm camera, then MSM_ROUTE=/lobby=rtsp://ann:wonderland@127.0.0.1:9554/any"
        " msm up"
    )(camera)


def play(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="What to play, rtsp://…, with user and password if needed.")
    ],
    transport: Annotated[Transport, typer.Option(metavar="udp|tcp", help="How media comes.")] = Transport.UDP,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long to play. [until Ctrl-C; 10 with --sessions]", show_default=False
        ),
    ] = None,
    sessions: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=_MAX_SESSIONS, help="Play this many at once, and sum up.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, at the end.")] = False,
) -> None:
    """Play a URL as any player would, and measure it.

    Reports set-up time and, for each track, loss, reordering, jitter and the round trip to the sender. Set-up ends when
    the response to PLAY has been read; the first packet may be there before. The exit code is 1 when a session failed,
    no media came, or audio or video stayed silent for seconds.

    Over UDP a session is more than its connection: where that ends, another one is made, and the session goes on.
    """
    from api.cli.playing import play_and_report, play_many_and_report
    from api.loop import run_until_signal
    from rtsp_filter.player import PlayTransport
    from rtsp_filter.rtsp import URLError

    chosen = PlayTransport(transport.value)
    try:
        if sessions == 1:
            code = run_until_signal(lambda: play_and_report(url, chosen, seconds, as_json=as_json))
        else:
            limit = _SECONDS_OF_MANY if seconds is None else seconds
            code = run_until_signal(lambda: play_many_and_report(url, sessions, chosen, limit, as_json=as_json))
    except URLError as error:
        raise typer.BadParameter(str(error), param_hint="URL") from None
    raise typer.Exit(code)


def camera(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=_MAX_PORT, help="TCP port of RTSP; 0: any free one.")
    ] = 9554,
    path: Annotated[
        str | None, typer.Option(metavar="/PATH", help="The only path that plays. [any]", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:PASSWORD",
            envvar=_USER_VARIABLE,
            help="Play for this user only. Options are seen by other users of the machine, variables are not.",
            show_default=False,
        ),
    ] = None,
    loss: Annotated[str, typer.Option(metavar="PERCENT%|SHARE", help="RTP packets to lose: 2%, or 0.02.")] = "0",
    jitter: Annotated[
        float, typer.Option(metavar="MILLISECONDS", min=0, max=_MAX_JITTER_MS, help="Delay, at most.")
    ] = 0.0,
) -> None:
    """Run the bundled camera alone.

    It plays a looping clip, H.264 video and AAC audio, over UDP and TCP, to any number of players. Nobody can
    publish to it; ffmpeg -rtsp_flags listen -i rtsp://127.0.0.1:9554/live takes one publisher.
    """
    from api.cli.filming import film
    from api.loop import run_until_signal
    from rtsp_filter.camera import CameraSettings

    if path is not None and not path.startswith("/"):
        raise typer.BadParameter("a path begins with /", param_hint="--path")
    settings = CameraSettings(
        host=host, port=port, path=path, loss=_share(loss), jitter=jitter / 1000, user=_credentials(user)
    )
    raise typer.Exit(run_until_signal(lambda: film(settings)))


def _credentials(text: str | None) -> Credentials | None:
    """The user whom `--user` names; it is not repeated when it cannot be used."""
    from rtsp_filter.rtsp import Credentials

    if text is None:
        return None
    name, _, password = text.partition(":")
    if not (name and password):
        raise typer.BadParameter("write NAME:PASSWORD", param_hint=f"--user ({_USER_VARIABLE})")
    return Credentials(username=name, password=password)


def _share(text: str) -> float:
    """A share from 0 to 1, written as such or as a percentage."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(
            f"{text} is neither a share from 0 to 1 nor a percentage, like 2%", param_hint="--loss"
        )
    return share
