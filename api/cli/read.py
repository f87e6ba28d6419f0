"""Commands that read a running mesh: routes, sources, sessions, relays, proxies, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.cli.gateway_tables import GatewayPort
    from api.cli.tables import View
    from api.models import Explanation, Listing

Item = TypeVar("Item", bound="BaseModel")

API_DEFAULT = "http://127.0.0.1:8080"
_FOLLOWED = ("routed", "redirected")

Api = Annotated[
    str, typer.Option("--api", metavar="HOST:PORT|URL", envvar="MSM_API", help="Where the mesh's REST API is.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON, whole.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns; without, those that fit 80 characters.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Names only: msm routes --json | jq -r '.items[].name'")(routes)
    app.command(epilog="Would these documents be taken? msm check FILE")(sources)
    app.command(epilog="What one listener does with its sessions: msm gateways --json")(gateways)
    app.command(epilog="What each proxy says: msm endpoints --json")(endpoints)
    app.command(epilog="How it came to be so: msm canaries --json | jq '.items[].history'")(canaries)
    app.command(epilog="Of another mesh: msm sessions --api 192.0.2.1:8080")(sessions)
    app.command(epilog="The relays of one session: msm relays | grep SESSION")(relays)
    app.command(epilog="What Envoy was sent and refused: msm proxies envoy --type lds")(proxies)
    app.command(epilog="Why does this play, or not: msm explain rtsp://127.0.0.1:8554/lobby")(explain)


def routes(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the routes of a running mesh.

    Each line is a rule: which paths it is for, and which backends get which share of the sessions. Routes of UDP and
    TCP follow, by the ports that they are behind; --json has those of RTSP only, see msm gateways.
    """
    from api.cli.client import fetch
    from api.cli.gateway_tables import show
    from api.cli.tables import ROUTES, rules_of
    from api.models import Listing, Route

    found = fetch(api, "/v1/routes", Listing[Route])
    if as_json:
        _print_json(found)
        return
    transport = _listeners(api)
    if found.items or not transport:
        ROUTES.show(rules_of(found.items), wide=wide)
    if transport:
        show(transport, wide=wide)


def sources(api: Api = API_DEFAULT, as_json: Json = False) -> None:
    """List where the routes of a running mesh come from, and which latest changes were refused.

    A source is the files and folders of -f, or the --route options. Its last good state stays until all that is wrong
    is mended; what that is follows, with file and line.
    """
    from api.cli.client import fetch
    from api.cli.tables import show_sources
    from api.models import Listing, Source

    found = fetch(api, "/v1/sources", Listing[Source])
    if as_json:
        _print_json(found)
    else:
        show_sources(found.items)


def gateways(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the gateways of a running mesh.

    Each line is a port for UDP or TCP: its route, which backends get which share of the sessions, and how far the
    proxies are with it. What a proxy refused follows in the proxy's words.
    """
    from api.cli.client import fetch
    from api.cli.gateway_tables import show
    from api.gateways import Gateway
    from api.models import Listing

    if as_json:
        _print_json(fetch(api, "/v1/gateways", Listing[Gateway]))
    else:
        show(_listeners(api), wide=wide)


def endpoints(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the cameras of a running mesh that RTSP proxies have dealt with, and what was measured of each."""
    from api.cli.measured_tables import ENDPOINTS
    from api.endpoints import MeasuredEndpoint
    from api.models import Listing

    _list(api, "/v1/endpoints", Listing[MeasuredEndpoint], ENDPOINTS, wide=wide, as_json=as_json)


def canaries(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the canaries of a running mesh: backends whose share of the sessions follows what is measured of them."""
    from api.canaries import Canary
    from api.cli.measured_tables import CANARIES
    from api.models import Listing

    _list(api, "/v1/canaries", Listing[Canary], CANARIES, wide=wide, as_json=as_json)


def sessions(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the sessions of players in a running mesh; msm end ends one."""
    from api.cli.tables import SESSIONS
    from api.models import Listing, Session

    _list(api, "/v1/sessions", Listing[Session], SESSIONS, wide=wide, as_json=as_json)


def relays(api: Api = API_DEFAULT, wide: Wide = False, as_json: Json = False) -> None:
    """List the relays of a running mesh.

    Each line is a track over UDP: the ports of Envoy that carry it, and whom it goes to.
    """
    from api.cli.tables import RELAYS
    from api.models import Listing, Relay

    _list(api, "/v1/relays", Listing[Relay], RELAYS, wide=wide, as_json=as_json)


def proxies(
    node: Annotated[
        str | None, typer.Argument(metavar="ID", help="Node id: sum up the resources of this proxy.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="List resources of this type, such as lds.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List resources of all types.")] = False,
    api: Api = API_DEFAULT,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the proxies of a running mesh, or what one of them has.

    With a node id: how much this proxy was sent over xDS, how much of it it acknowledged, and what it refused and why;
    with --type or --all each resource.
    """
    if node is not None:
        _show_resources(api, node, kind, every=every, wide=wide, as_json=as_json)
    elif kind is not None or every:
        raise typer.BadParameter("goes with the node id of a proxy", param_hint="--all" if every else "--type")
    else:
        _list_proxies(api, wide=wide, as_json=as_json)


def explain(
    url: Annotated[str, typer.Argument(metavar="URL", help="An RTSP URL as a player would open it.")],
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="The method that the session begins with.")
    ] = "DESCRIBE",
    header: Annotated[
        list[str] | None, typer.Option(metavar='"NAME: VALUE"', help="A header of the request; repeatable.")
    ] = None,
    api: Api = API_DEFAULT,
    as_json: Json = False,
) -> None:
    """Say where an RTSP URL leads to in a running mesh, and why.

    The exit code is 1 when it leads nowhere.
    """
    from api.cli.client import fetch
    from api.models import Explanation

    found = fetch(api, "/v1/explain", Explanation, {"url": url, "method": method, "header": header or []})
    if as_json:
        _print_json(found)
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found.outcome.value in _FOLLOWED else 1)


def _listeners(api: str) -> list[GatewayPort]:
    from api.cli.client import fetch
    from api.cli.gateway_tables import ports_of
    from api.gateways import Gateway
    from api.models import Listing

    return ports_of(fetch(api, "/v1/gateways", Listing[Gateway]).items)


def _list(api: str, path: str, listing: type[Listing[Item]], view: View[Item], *, wide: bool, as_json: bool) -> None:
    from api.cli.client import fetch

    found = fetch(api, path, listing)
    if as_json:
        _print_json(found)
    else:
        view.show(found.items, wide=wide)


def _print_json(answer: BaseModel) -> None:
    typer.echo(answer.model_dump_json(indent=2))


def _list_proxies(api: str, *, wide: bool, as_json: bool) -> None:
    from api.cli.tables import PROXIES
    from api.models import Listing, Proxy

    _list(api, "/v1/proxies", Listing[Proxy], PROXIES, wide=wide, as_json=as_json)


def _show_resources(api: str, node: str, kind: str | None, *, every: bool, wide: bool, as_json: bool) -> None:
    from urllib.parse import quote

    from api.cli.client import fetch
    from api.cli.tables import RESOURCES, show_summary
    from api.models import Listing, ProxyResource

    query = {} if kind is None else {"type": kind}
    found = fetch(api, f"/v1/proxies/{quote(node)}/resources", Listing[ProxyResource], query)
    if as_json:
        _print_json(found)
    elif kind is not None or every:
        RESOURCES.show(found.items, wide=wide)
    else:
        show_summary(found.items)


def _print_explanation(found: Explanation) -> None:
    from api.cli.output import console, percent, table

    out = console()
    out.print(f"{found.url}: {found.message}" + ("" if found.outcome.value in _FOLLOWED else f" ({found.status})"))
    if found.candidates:
        rows = [
            (candidate.backend, percent(target.share), target.endpoint, target.url, target.transport.value)
            for candidate in found.candidates
            for target in candidate.targets
        ]
        empty = [(item.backend, percent(item.share)) for item in found.candidates if not item.targets]
        rows += [(backend, share, "no endpoint", "", "") for backend, share in empty]
        out.print()
        out.print(table(("backend", "sessions", "endpoint", "asked for", "transport"), rows))
        for target in (each for candidate in found.candidates for each in candidate.targets if each.left_out):
            out.print(f"\nEndpoint {target.endpoint} gets no new sessions now: {'; '.join(target.left_out)}")
    out.print("\nWhy:")
    for reason in found.reasons:
        out.print(f"  {reason}")
    waiting = [proxy.id for proxy in found.rtsp_proxies if not proxy.current]
    out.print(f"\nRTSP proxies: {', '.join(proxy.id for proxy in found.rtsp_proxies) or 'none connected'}")
    if waiting:
        out.print(f"Not yet up to date, may answer otherwise: {', '.join(waiting)}")
    out.print(f"Media proxies: {', '.join(found.media_proxies) or 'none connected'}")
