"""Commands that read a running mesh: routes, sessions, relays, proxies, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.models import Explanation, PortPair, Proxy, ProxyResource, Relay, Route, Session

_API_DEFAULT = "http://127.0.0.1:8080"
_ROUTED = 200

Api = Annotated[str, typer.Option("--api", envvar="MSM_API", help="Where the mesh's REST API is: URL or HOST:PORT.")]
Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Names only: msm routes --json | jq -r '.items[].name'")(routes)
    app.command(epilog="Of another mesh: msm sessions --api 192.0.2.1:8080")(sessions)
    app.command(epilog="The relays of one session: msm relays | grep SESSION")(relays)
    app.command(epilog="What Envoy was sent and refused: msm proxies envoy --type lds")(proxies)
    app.command(epilog="Why does this play, or not: msm explain rtsp://127.0.0.1:8554/lobby")(explain)


def routes(api: Api = _API_DEFAULT, as_json: Json = False) -> None:
    """List the routes of a running mesh.

    Each line is a rule: which paths it is for, and which backends get which share of the sessions.
    """
    from api.cli.client import fetch
    from api.cli.output import print_table
    from api.models import Listing, Route

    found = fetch(api, "/v1/routes", Listing[Route])
    if as_json:
        _print_json(found)
        return
    rows = [row for route in found.items for row in _route_rows(route)]
    columns = ("route", "hosts", "rule", "paths", "rewrite", "backends")
    print_table(columns, rows, "There are no routes; give some with msm up --route or -f.")


def sessions(api: Api = _API_DEFAULT, as_json: Json = False) -> None:
    """List the sessions of players in a running mesh."""
    from api.cli.client import fetch
    from api.cli.output import print_table
    from api.models import Listing, Session

    found = fetch(api, "/v1/sessions", Listing[Session])
    if as_json:
        _print_json(found)
        return
    columns = ("session", "state", "via", "client", "url", "route", "backend", "endpoint", "media", "proxy", "age")
    print_table(columns, [_session_row(item) for item in found.items], "There are no sessions.")


def relays(api: Api = _API_DEFAULT, as_json: Json = False) -> None:
    """List the relays of a running mesh.

    Each line is a track over UDP: the ports of Envoy that carry it, and whom it goes to.
    """
    from api.cli.client import fetch
    from api.cli.output import print_table
    from api.models import Listing, Relay

    found = fetch(api, "/v1/relays", Listing[Relay])
    if as_json:
        _print_json(found)
        return
    columns = ("slot", "state", "media", "from camera", "to player", "player", "session", "proxy")
    print_table(columns, [_relay_row(item) for item in found.items], "There are no relays.")


def proxies(
    node: Annotated[str | None, typer.Argument(metavar="ID", help="Node id: list the resources of this proxy.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only resources of this type: lds, cds, eds, rds.")] = None,
    api: Api = _API_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the proxies of a running mesh, or what one of them has.

    With a node id: what this proxy was sent over xDS, what it acknowledged, and what it refused and why.
    """
    if node is None:
        _list_proxies(api, as_json)
    else:
        _list_resources(api, node, kind, as_json)


def explain(
    url: Annotated[str, typer.Argument(metavar="URL", help="An RTSP URL as a player would open it.")],
    api: Api = _API_DEFAULT,
    as_json: Json = False,
) -> None:
    """Say where an RTSP URL leads to in a running mesh, and why.

    The exit code is 1 when it leads nowhere.
    """
    from api.cli.client import fetch
    from api.models import Explanation

    found = fetch(api, "/v1/explain", Explanation, {"url": url})
    if as_json:
        _print_json(found)
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found.status == _ROUTED else 1)


def _print_json(answer: BaseModel) -> None:
    typer.echo(answer.model_dump_json(indent=2))


def _list_proxies(api: str, as_json: bool) -> None:
    from api.cli.client import fetch
    from api.cli.output import print_table
    from api.models import Listing, Proxy

    found = fetch(api, "/v1/proxies", Listing[Proxy])
    if as_json:
        _print_json(found)
        return
    columns = ("proxy", "kind", "software", "peer", "protocol", "connected", "resources", "sessions", "relays")
    print_table(columns, [_proxy_row(item) for item in found.items], "No proxy is connected.")


def _list_resources(api: str, node: str, kind: str | None, as_json: bool) -> None:
    from urllib.parse import quote

    from api.cli.client import fetch
    from api.cli.output import print_table
    from api.models import Listing, ProxyResource

    query = {} if kind is None else {"type": kind}
    found = fetch(api, f"/v1/proxies/{quote(node)}/resources", Listing[ProxyResource], query)
    if as_json:
        _print_json(found)
        return
    columns = ("type", "name", "state", "sent", "acknowledged", "error")
    print_table(columns, [_resource_row(item) for item in found.items], "The proxy has no such resources.")


def _route_rows(route: Route) -> list[tuple[str, ...]]:
    from api.cli.output import percent

    return [
        (
            f"{route.namespace}/{route.name}",
            ", ".join(route.hostnames) or "any",
            rule.name,
            ", ".join(f"{match.type.value} {match.value}" for match in rule.matches),
            "" if rule.rewrite is None else f"{rule.rewrite.type.value} {rule.rewrite.value}",
            ", ".join(f"{item.backend} {percent(item.share)}" for item in rule.backends),
        )
        for rule in route.rules
    ]


def _session_row(session: Session) -> tuple[str, ...]:
    from api.cli.output import age

    return (
        session.id,
        session.state,
        session.transport,
        session.client_address,
        session.url,
        f"{session.route}/{session.rule}",
        session.backend,
        session.endpoint,
        ", ".join(session.media),
        session.proxy,
        age(session.started_at),
    )


def _relay_row(relay: Relay) -> tuple[str | int | None, ...]:
    return (
        relay.slot,
        relay.state.value,
        relay.media,
        _ports(relay.ingress),
        _ports(relay.egress),
        f"{relay.receiver.address} {_ports(relay.receiver.ports)}",
        relay.session,
        relay.proxy,
    )


def _ports(pair: PortPair | None) -> str | None:
    return None if pair is None else f"{pair.rtp}-{pair.rtcp}"


def _proxy_row(proxy: Proxy) -> tuple[str | int | None, ...]:
    from api.cli.output import age

    xds, relays = proxy.xds, proxy.relay_stream
    peers = [stream.peer for stream in (xds, relays) if stream is not None]
    configured: tuple[str | None, ...] = (None, None, None)
    if xds is not None:
        counts = ", ".join(f"{count.resources} {count.state.value}" for count in xds.resources)
        configured = (xds.protocol.value, age(xds.connected_at), counts)
    held = (None, None) if relays is None else (relays.sessions, relays.relays)
    return (proxy.id, proxy.kind, f"{proxy.software} {proxy.version}".strip(), peers[0], *configured, *held)


def _resource_row(resource: ProxyResource) -> tuple[str | None, ...]:
    return (
        resource.type,
        resource.name,
        resource.state.value,
        resource.version_sent,
        resource.version_acknowledged,
        resource.error,
    )


def _print_explanation(found: Explanation) -> None:
    from api.cli.output import console, percent, table

    out = console()
    out.print(f"{found.url}: {found.message}" + ("" if found.status == _ROUTED else f" ({found.status})"))
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
    out.print("\nWhy:")
    for reason in found.reasons:
        out.print(f"  {reason}")
    waiting = [proxy.id for proxy in found.rtsp_proxies if not proxy.current]
    out.print(f"\nRTSP proxies: {', '.join(proxy.id for proxy in found.rtsp_proxies) or 'none connected'}")
    if waiting:
        out.print(f"Not yet up to date, may answer otherwise: {', '.join(waiting)}")
    out.print(f"Media proxies: {', '.join(found.media_proxies) or 'none connected'}")
