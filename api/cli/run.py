"""Commands that run a mesh or a part of it: up, serve, proxy, envoy, demo."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.settings import MeshSettings

_UP_HELP = """Run a whole mesh on this machine: control plane, Envoy, RTSP proxy and REST API.

Every option is also a setting of the same name: --media-ports is MSM_MEDIA_PORTS in the environment, and media-ports
or media_ports in a file (--config msm.yaml).
"""
_UP_EPILOG = (
    "A camera behind the mesh: msm up --route /lobby=rtsp://192.0.2.10/stream1, then play"
    " rtsp://127.0.0.1:8554/lobby. For players and cameras on other machines:"
    " msm up --rtsp 0.0.0.0:8554 --media-address 192.0.2.1 -f mesh.yaml"
)

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A settings file, YAML or TOML.")]
Rtsp = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where players connect to. [127.0.0.1:8554]")]
Rtsps = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Where players connect to by TLS, given a certificate. [127.0.0.1:8322]"),
]
RtspsCertificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The certificate for RTSPS, as PEM; followed when it changes. [no RTSPS]"),
]
RtspsKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its private key, as PEM. [in the certificate's file]")
]
Api = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The REST API. [127.0.0.1:8080]")]
Xds = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The control plane's gRPC. [127.0.0.1:18000]")]
MediaPorts = Annotated[
    str | None, typer.Option(metavar="FIRST-LAST", help="UDP ports of media, four for each track. [20000-23999]")
]
MediaAddress = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS", help="An address of Envoy's machine for media; once for IPv4, once for IPv6. [127.0.0.1]"
    ),
]
MulticastGroups = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS/LENGTH", help="Multicast groups of this RTSP proxy. [no multicast to players]"),
]
MulticastTtl = Annotated[
    int | None,
    typer.Option(metavar="NETWORKS", help="How many networks multicast may pass (TTL), of serve and proxy alike. [1]"),
]
Route = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH=URL", help="A camera and the path under which it is shown; repeatable."),
]
File = Annotated[
    list[Path] | None,
    typer.Option("-f", "--file", metavar="FILE|FOLDER", help="Documents, watched for changes; repeatable."),
]
Workers = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Worker threads of Envoy. [one a processor, at most 4]")
]
RtspNode = Annotated[
    str | None, typer.Option(metavar="NAME", help="This RTSP proxy's name in the mesh, unique. [rtsp-HOST-PORT]")
]
MediaNode = Annotated[str | None, typer.Option(metavar="NAME", help="The media proxy's name in the mesh. [envoy]")]
SessionTimeout = Annotated[
    int | None, typer.Option(metavar="SECONDS", help="How long a silent player's session stays. [60]")
]
DrainTime = Annotated[int | None, typer.Option(metavar="SECONDS", help="How long sessions go on after SIGTERM. [20]")]
LogFormat = Annotated[
    str | None, typer.Option(metavar="console|json", help="Log lines for people, or for programs. [console]")
]
_LEVELS = "debug|info|warning|error"
LogLevel = Annotated[str | None, typer.Option(metavar=_LEVELS, help="The least important log lines shown. [info]")]
DemoLogLevel = Annotated[str, typer.Option(metavar=_LEVELS, help="The least important log lines shown.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(help=_UP_HELP, epilog=_UP_EPILOG)(up)
    app.command()(serve)
    app.command()(proxy)
    app.command()(envoy)
    app.command()(demo)


def up(
    route: Route = None,
    file: File = None,
    rtsp: Rtsp = None,
    rtsps: Rtsps = None,
    rtsps_certificate: RtspsCertificate = None,
    rtsps_key: RtspsKey = None,
    api: Api = None,
    xds: Xds = None,
    media_ports: MediaPorts = None,
    media_address: MediaAddress = None,
    multicast_groups: MulticastGroups = None,
    multicast_ttl: MulticastTtl = None,
    envoy_workers: Workers = None,
    session_timeout: SessionTimeout = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    settings = settings_of(
        config,
        route=route,
        file=file,
        rtsp=rtsp,
        rtsps=rtsps,
        rtsps_certificate=rtsps_certificate,
        rtsps_key=rtsps_key,
        api=api,
        xds=xds,
        media_ports=media_ports,
        media_address=media_address,
        multicast_groups=multicast_groups,
        multicast_ttl=multicast_ttl,
        envoy_workers=envoy_workers,
        session_timeout=session_timeout,
        log_format=log_format,
        log_level=log_level,
    )
    _begin(settings)
    from api import run

    _run(lambda: run.up(settings))


def serve(
    route: Route = None,
    file: File = None,
    api: Api = None,
    xds: Xds = None,
    media_ports: MediaPorts = None,
    media_address: MediaAddress = None,
    multicast_ttl: MulticastTtl = None,
    media_node: MediaNode = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run the control plane alone: documents in, xDS and relays out, with the REST API."""
    settings = settings_of(
        config,
        route=route,
        file=file,
        api=api,
        xds=xds,
        media_ports=media_ports,
        media_address=media_address,
        multicast_ttl=multicast_ttl,
        media_node=media_node,
        log_format=log_format,
        log_level=log_level,
    )
    _begin(settings)
    from api import run

    _run(lambda: run.serve(settings))


def proxy(
    rtsp: Rtsp = None,
    rtsps: Rtsps = None,
    rtsps_certificate: RtspsCertificate = None,
    rtsps_key: RtspsKey = None,
    multicast_groups: MulticastGroups = None,
    multicast_ttl: MulticastTtl = None,
    xds: Xds = None,
    rtsp_node: RtspNode = None,
    session_timeout: SessionTimeout = None,
    drain_time: DrainTime = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run an RTSP proxy alone; --xds says where its control plane is."""
    settings = settings_of(
        config,
        rtsp=rtsp,
        rtsps=rtsps,
        rtsps_certificate=rtsps_certificate,
        rtsps_key=rtsps_key,
        multicast_groups=multicast_groups,
        multicast_ttl=multicast_ttl,
        xds=xds,
        rtsp_node=rtsp_node,
        session_timeout=session_timeout,
        drain_time=drain_time,
        log_format=log_format,
        log_level=log_level,
    )
    _begin(settings)
    from api import run

    _run(lambda: run.proxy(settings))


def envoy(
    xds: Xds = None,
    media_node: MediaNode = None,
    envoy_workers: Workers = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run a media proxy alone: an Envoy, restarted when it ends; --xds says where its control plane is."""
    settings = settings_of(
        config,
        xds=xds,
        media_node=media_node,
        envoy_workers=envoy_workers,
        log_format=log_format,
        log_level=log_level,
    )
    _begin(settings)
    from api import run

    _run(lambda: run.envoy(settings))


def demo(
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so long. [until Ctrl-C]", min=1)
    ] = None,
    transport: Annotated[str, typer.Option(metavar="udp|tcp", help="How the player takes media.")] = "udp",
    log_level: DemoLogLevel = "warning",
) -> None:
    """Play a bundled camera through a whole mesh on this machine, and show what arrives.

    The last line of output is a JSON summary. The exit code is 1 when media did not flow.
    """
    settings = settings_of(None, log_level=log_level)
    _begin(settings)
    from api.demo import demo as play_demo
    from rtsp_filter.player import PlayTransport

    try:
        chosen = PlayTransport(transport)
    except ValueError:
        raise typer.BadParameter("udp or tcp", param_hint="--transport") from None
    _run(lambda: play_demo(settings, seconds=seconds, transport=chosen))


def settings_of(config: Path | None, **options: object) -> MeshSettings:
    """The settings of these options, the environment and a file; what cannot be used ends the command with code 2."""
    from api.settings import SettingsError, doubtful_variables, load_settings

    for doubt in doubtful_variables(os.environ):
        typer.echo(f"warning: {doubt}", err=True)
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    try:
        return load_settings(config, given)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _begin(settings: MeshSettings) -> None:
    """Say that something happens: to load all that a mesh is made of takes seconds on a small machine."""
    import structlog

    from api.logs import configure_logs

    configure_logs(settings.log_format, settings.log_level)
    structlog.get_logger().info("starting; Ctrl-C ends it")


def _run(main: Callable[[], Awaitable[int]]) -> None:
    from api.run import run

    raise typer.Exit(run(main))
