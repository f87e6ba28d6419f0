"""`msm bootstrap`: the configuration with which an Envoy that somebody else starts becomes a proxy of the mesh."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.run import Xds, settings_of

_EPILOG = (
    "A media proxy, on the machine where players come: msm bootstrap --node envoy --xds 192.0.2.1:18000 -o envoy.yaml,"
    " then envoy -c envoy.yaml\n\nA gateway proxy for one Gateway: msm bootstrap --node edge-1 --gateway games/lobby"
    " --xds control.example:18000 -o edge.yaml\n\nThe file is for one Envoy at a time. A second Envoy on a machine"
    " wants an --admin of its own, and to be started with --use-dynamic-base-id."
)
# A media proxy's room unless told otherwise: what the default --media-ports hold.
SLOTS = 1_000
# What it, and a gateway proxy, has room for besides.
SESSIONS = 1_024
_MAX_WORKERS = 64
_MAX_COUNT = 10_000_000
_ADMIN = "127.0.0.1:9901"


class Cluster(StrEnum):
    """The node clusters that the control plane serves with Envoy's resources."""

    MEDIA = "msm-media"
    GATEWAY = "msm-gateway"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog=_EPILOG)(bootstrap)


def bootstrap(
    node: Annotated[
        str, typer.Option(metavar="NAME", help="The proxy's name; of a media proxy, --media-node of msm serve.")
    ],
    cluster: Annotated[
        Cluster | None,
        typer.Option(
            metavar="msm-media|msm-gateway",
            help="What it carries: media of RTSP sessions and all Gateways, or Gateways alone. [msm-media]",
        ),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="Serve this Gateway only; implies msm-gateway.")
    ] = None,
    xds: Xds = None,
    region: Annotated[str, typer.Option(metavar="NAME", help="Where it runs: the region.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(metavar="NAME", help="Where it runs: the zone.", show_default=False)] = "",
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Whatever else the proxy shall say of itself; repeatable."),
    ] = None,
    admin: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT|SOCKET",
            help="Envoy's admin interface: a loopback address and port, or a path for a Unix socket.",
        ),
    ] = _ADMIN,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="How large Envoy's heap may become, such as 512MiB. [half of the memory that is there]",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=_MAX_WORKERS,
            help="Worker threads: Envoy's --concurrency. [one a processor]",
        ),
    ] = None,
    files: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, help="Files that Envoy may open, where it will run. [as many as here]"),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", min=1, max=_MAX_COUNT, help=f"Tracks at once that a media proxy has room for. [{SLOTS}]"
        ),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=_MAX_COUNT,
            help=f"UDP sessions at once that gateways have room for. [{SESSIONS}]",
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=_MAX_COUNT,
            help="TCP connections at once. [half of --files, 2 each; 16384 at most]",
        ),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(
            metavar="SOCKET", help="The socket of a SPIFFE Workload API (SPIRE agent): xDS then goes over mutual TLS."
        ),
    ] = None,
    server_id: Annotated[
        str | None,
        typer.Option(metavar="spiffe://DOMAIN/PATH", help="With --identity: the control plane's SPIFFE ID."),
    ] = None,
    trust_domain: Annotated[
        str | None,
        typer.Option(
            metavar="DOMAIN", help="With --identity, in place of --server-id: any workload of this trust domain."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to, .yaml or .json; replaced. [standard output, YAML]"
        ),
    ] = None,
) -> None:
    """Write the bootstrap with which an Envoy becomes a proxy of the mesh: envoy -c FILE.

    It says who the proxy is and where its control plane is; all else comes by xDS. Memory is limited: near the limit
    Envoy refuses new TCP connections, while UDP goes on.

    The control plane does not speak TLS yet; it will in a later version. Until then --identity is for a control
    plane that stands behind something that ends TLS for it.
    """
    from api.cli.bootstrapping import Options, bootstrap_of, files_needed, text_of
    from api.cli.output import fail

    options = Options(
        node=node,
        cluster=cluster or (Cluster.MEDIA if gateway is None else Cluster.GATEWAY),
        gateway=gateway,
        xds=settings_of(None, xds=xds).xds,
        region=region,
        zone=zone,
        metadata=tuple(metadata or ()),
        admin=admin,
        memory=memory,
        workers=workers,
        files=files,
        slots=slots,
        sessions=sessions,
        connections=connections,
        identity=identity,
        server_id=server_id,
        trust_domain=trust_domain,
    )
    made = bootstrap_of(options)
    complaint = files_needed(options, made.node.process)
    if complaint and options.states_room:
        fail(complaint)
    if complaint:
        typer.echo(f"warning: {complaint}", err=True)
    _write(output, text_of(made, output, workers))


def _write(output: Path | None, text: str) -> None:
    from api.cli.output import fail

    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        fail(f"{output}: {error.strerror}")
