"""The control plane's state as the models of the API: plain functions, read between two of its steps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from api import models
from mesh import model as mesh_model
from mesh.model import ObjectName
from mesh.wire import relay_pb2
from rtsp_filter.rtsp import RTSPURL, URLError
from xds_server.client_status import statuses_of
from xds_server.control_plane import ControlPlane
from xds_server.envoy.bootstrap import GATEWAY_CLUSTER, MEDIA_CLUSTER
from xds_server.relays.activity import Activity, RelayActivity
from xds_server.relays.relay import Relay
from xds_server.resource_types import RESOURCE_TYPES, resource_type
from xds_server.subscription import ConnectedProxy, SyncState

_TRANSPORTS = {
    relay_pb2.UDP: models.SessionTransport.UDP,
    relay_pb2.TCP: models.SessionTransport.TCP,
    relay_pb2.MULTICAST: models.SessionTransport.MULTICAST,
}
_KINDS = {MEDIA_CLUSTER: models.ProxyKind.MEDIA, GATEWAY_CLUSTER: models.ProxyKind.GATEWAY}
_STATES = {
    relay_pb2.READY: models.SessionState.READY,
    relay_pb2.PLAYING: models.SessionState.PLAYING,
    relay_pb2.RECORDING: models.SessionState.RECORDING,
}
RESOURCE_TYPE_NAMES = tuple(sorted(kind.short_name for kind in RESOURCE_TYPES.values()))
"""Short names of the types of resources that proxies are sent."""


# Routes, backends, sources


def routes(plane: ControlPlane) -> list[models.Route]:
    """All routes, by name."""
    return [_route(plane.mesh.routes[name]) for name in sorted(plane.mesh.routes)]


def route(plane: ControlPlane, name: ObjectName) -> models.Route | None:
    """One route."""
    found = plane.mesh.routes.get(name)
    return None if found is None else _route(found)


def backends(plane: ControlPlane) -> list[models.Backend]:
    """All backends, by name."""
    sessions = Counter((item.cluster, item.endpoint) for item in plane.sessions.values())
    return [_backend(plane.mesh.backends[name], sessions) for name in sorted(plane.mesh.backends)]


def sources(plane: ControlPlane) -> list[models.Source]:
    """Every source that has said something, usable or not."""
    slices = plane.slices
    names = sorted({*slices, *plane.source_errors})
    parts = [slices.get(name) or mesh_model.Slice(source=name) for name in names]
    return [
        models.Source(
            name=part.source,
            routes=tuple(map(str, sorted(part.routes))),
            backends=tuple(map(str, sorted(part.backends))),
            gateways=tuple(map(str, sorted(part.gateways))),
            taken_at=_time(plane.taken_at[part.source]) if part.source in slices else None,
            errors=tuple(plane.source_errors.get(part.source, "").splitlines()),
        )
        for part in parts
    ]


def shares(weights: list[int]) -> list[float]:
    """Each weight's part of their sum."""
    total = sum(weights)
    return [weight / total if total else 0.0 for weight in weights]


def _route(route: mesh_model.Route) -> models.Route:
    return models.Route(
        namespace=route.name.namespace,
        name=route.name.name,
        hostnames=route.hostnames,
        rules=tuple(_rule(rule) for rule in route.rules),
    )


def _rule(rule: mesh_model.Rule) -> models.Rule:
    weighted = zip(rule.backends, shares([item.weight for item in rule.backends]), strict=True)
    retry = rule.retry
    return models.Rule(
        name=rule.name,
        matches=tuple(map(_match, rule.matches)),
        rewrite=_rewrite(rule.rewrite),
        redirect=_redirect(rule.redirect),
        request_headers=_headers(rule.request_headers),
        response_headers=_headers(rule.response_headers),
        timeout=rule.timeout,
        try_timeout=rule.try_timeout,
        retry=None if retry is None else models.Retry(attempts=retry.attempts, codes=retry.codes),
        users=None if rule.users is None else str(rule.users),
        backends=tuple(
            models.BackendShare(backend=str(item.backend), weight=item.weight, share=share) for item, share in weighted
        ),
        mirrors=tuple(models.MirrorShare(backend=str(each.backend), share=float(each.part)) for each in rule.mirrors),
    )


def _rewrite(rewrite: mesh_model.PathRewrite | None) -> models.PathRewrite | None:
    return None if rewrite is None else models.PathRewrite(type=rewrite.type, value=rewrite.value)


def _redirect(redirect: mesh_model.Redirect | None) -> models.Redirect | None:
    if redirect is None:
        return None
    return models.Redirect(
        status=redirect.status,
        secure=redirect.secure,
        hostname=redirect.hostname,
        port=redirect.port,
        path=_rewrite(redirect.path),
    )


def _headers(modifier: mesh_model.HeaderModifier) -> models.HeaderChanges:
    return models.HeaderChanges(remove=modifier.remove, set=_values(modifier.set), add=_values(modifier.add))


def _values(headers: Sequence[tuple[str, str]]) -> tuple[models.HeaderValue, ...]:
    return tuple(models.HeaderValue(name=name, value=value) for name, value in headers)


def _match(match: mesh_model.Match) -> models.Match:
    return models.Match(
        type=match.path.type,
        value=match.path.value,
        method=match.method,
        headers=tuple(map(_condition, match.headers)),
        query_params=tuple(map(_condition, match.query_params)),
    )


def _condition(match: mesh_model.NamedMatch) -> models.NamedMatch:
    return models.NamedMatch(name=match.name, type=match.type, value=match.value)


def _backend(backend: mesh_model.Backend, sessions: Counter[tuple[str, str]]) -> models.Backend:
    tls = backend.tls
    return models.Backend(
        namespace=backend.name.namespace,
        name=backend.name.name,
        endpoints=tuple(
            models.Endpoint(
                name=endpoint.name,
                address=endpoint.address,
                port=endpoint.port,
                path=endpoint.path,
                transport=endpoint.transport,
                has_credentials=bool(endpoint.credentials),
                sessions=sessions[str(backend.name), f"{endpoint.address}:{endpoint.port}"],
            )
            for endpoint in backend.endpoints
        ),
        tls=None if tls is None else models.BackendTLS(hostname=tls.hostname, system=tls.authorities is None),
    )


# Sessions and relays


def sessions(plane: ControlPlane) -> list[models.Session]:
    """All sessions, the oldest first."""
    relays: dict[str, list[str]] = {}
    for relay in plane.media.registry.relays.values():
        relays.setdefault(relay.session_id, []).append(relay.relay_id)
    found = sorted(plane.sessions.values(), key=lambda session: (session.started_at, session.session_id))
    return [_session(plane, item, relays.get(item.session_id, [])) for item in found]


def session(plane: ControlPlane, session_id: str) -> models.Session | None:
    """One session."""
    found = plane.sessions.get(session_id)
    if found is None:
        return None
    relays = plane.media.registry.relays.values()
    return _session(plane, found, [relay.relay_id for relay in relays if relay.session_id == session_id])


def relays(plane: ControlPlane) -> list[models.Relay]:
    """All relays, by slot; those that wait for one come last."""
    found = plane.media.registry.relays.values()
    return [_relay(plane, relay) for relay in sorted(found, key=_slot_order)]


def _session(plane: ControlPlane, item: relay_pb2.Session, relay_ids: list[str]) -> models.Session:
    route_name, rule = split_route(item.route)
    return models.Session(
        id=item.session_id,
        state=_STATES.get(item.state, models.SessionState.UNKNOWN),
        transport=_TRANSPORTS.get(item.transport, models.SessionTransport.UNKNOWN),
        client_address=item.client_address,
        url=without_credentials(item.url),
        upstream_url=without_credentials(item.upstream_url),
        route=route_name,
        rule=rule,
        backend=item.cluster,
        endpoint=item.endpoint,
        media=tuple(item.media),
        relays=tuple(sorted(relay_ids)),
        proxy=plane.session_owner.get(item.session_id, ""),
        started_at=_time(item.started_at),
    )


def _slot_order(relay: Relay) -> tuple[bool, int, str]:
    return relay.slot is None, relay.slot or 0, relay.relay_id


def _relay(plane: ControlPlane, relay: Relay) -> models.Relay:
    media = plane.settings.media
    ports = None if relay.slot is None else media.layout.ports(relay.slot)
    receiver = relay.receiver
    seen = plane.node.reports.activity.relay(relay.relay_id, time.monotonic())
    return models.Relay(
        id=relay.relay_id,
        session=relay.session_id,
        media=relay.media,
        state=relay.state,
        slot=relay.slot,
        addresses=media.addresses,
        ingress=None if ports is None else _pair(ports.ingress),
        egress=None if ports is None else _pair(ports.egress),
        receiver=None
        if receiver is None
        else models.Receiver(
            address=receiver.address, ports=models.PortPair(rtp=receiver.rtp_port, rtcp=receiver.rtcp_port)
        ),
        activity=Activity.UNKNOWN if seen is None else seen.activity,
        traffic=None if seen is None else _traffic(seen),
        proxy=relay.owner,
    )


def _traffic(seen: RelayActivity) -> models.RelayTraffic:
    return models.RelayTraffic(
        packets_received=seen.traffic.received,
        packets_sent=seen.traffic.sent,
        bytes_sent=seen.traffic.sent_bytes,
        receiver_packets=seen.traffic.heard,
        media_age=seen.media_age,
        receiver_age=seen.heard_age,
    )


def _pair(rtp: int) -> models.PortPair:
    return models.PortPair(rtp=rtp, rtcp=rtp + 1)


# Proxies


def proxies(plane: ControlPlane) -> list[models.Proxy]:
    """All proxies with any stream, by node id."""
    streams = streams_by_node(plane)
    names = sorted(streams.keys() | plane.relays.streams.keys())
    return [_proxy(plane, name, streams.get(name, [])) for name in names]


def is_resource_type(name: str) -> bool:
    """Whether that is the short name or the type URL of a type that proxies are sent."""
    return name in RESOURCE_TYPES or name in RESOURCE_TYPE_NAMES


def proxy_resources(plane: ControlPlane, node_id: str, kind: str | None) -> list[models.ProxyResource] | None:
    """The resources of a proxy, of one type (short name or type URL) if `kind` says so; None: no such proxy."""
    streams = streams_by_node(plane).get(node_id)
    if streams is None:
        return [] if node_id in plane.relays.streams else None
    return [
        models.ProxyResource(
            type=resource_type(status.type_url).short_name,
            type_url=status.type_url,
            name=status.name,
            state=status.state,
            version_sent=status.version_sent,
            version_acknowledged=status.version_acknowledged,
            error=words(status.error),
        )
        for status in statuses_of(streams)
        if kind is None or kind in (status.type_url, resource_type(status.type_url).short_name)
    ]


def streams_by_node(plane: ControlPlane) -> dict[str, list[ConnectedProxy]]:
    """The xDS streams of each node, the newest last; by node id."""
    found: dict[str, list[ConnectedProxy]] = {}
    for proxy in sorted(plane.proxies.values(), key=lambda proxy: proxy.connected_at):
        found.setdefault(proxy.node.id, []).append(proxy)
    return found


def kind_of(proxy: ConnectedProxy) -> models.ProxyKind:
    """What a proxy carries."""
    return _KINDS.get(proxy.node.cluster, models.ProxyKind.RTSP)


def counts_by_type(streams: Sequence[ConnectedProxy]) -> Mapping[str, Counter[SyncState]]:
    """How many of a proxy's resources are in each state, by type URL; of each type, the newest stream tells."""
    found: dict[str, Counter[SyncState]] = {}
    for stream in streams:
        found.update(stream.counts())
    return found


def words(error: str | None) -> str | None:
    """What a proxy says, without the line end that Envoy closes with."""
    return None if error is None else error.rstrip()


def unanswered_for(streams: Iterable[ConnectedProxy]) -> float | None:
    """The age in seconds of the oldest response without an answer; None: there is none."""
    since = min((at for stream in streams if (at := stream.unanswered_since()) is not None), default=None)
    return None if since is None else time.monotonic() - since


def _state_counts(streams: Sequence[ConnectedProxy]) -> Iterator[models.StateCount]:
    """How many of a proxy's resources are in each state, in the order of the states."""
    counts: Counter[SyncState] = Counter()
    for of_type in counts_by_type(streams).values():
        counts.update(of_type)
    return (models.StateCount(state=state, resources=counts[state]) for state in SyncState if counts[state])


def _proxy(plane: ControlPlane, node_id: str, streams: Sequence[ConnectedProxy]) -> models.Proxy:
    newest = streams[-1] if streams else None
    return models.Proxy(
        id=node_id,
        kind=models.ProxyKind.RTSP if newest is None else kind_of(newest),
        cluster="" if newest is None else newest.node.cluster,
        software="" if newest is None else newest.node.user_agent,
        version="" if newest is None else newest.node.user_agent_version,
        xds=None if newest is None else _xds_stream(streams),
        relay_stream=_relay_stream(plane, node_id),
    )


def _xds_stream(streams: Sequence[ConnectedProxy]) -> models.XdsStream:
    proxy = streams[-1]
    return models.XdsStream(
        peer=proxy.peer,
        connected_at=_time(proxy.connected_at),
        protocol=proxy.protocol,
        streams=len(streams),
        throttled=sum(stream.traffic.throttled for stream in streams),
        unanswered_for=unanswered_for(streams),
        resources=tuple(_state_counts(streams)),
    )


def _relay_stream(plane: ControlPlane, node_id: str) -> models.RelayStream | None:
    stream = plane.relays.streams.get(node_id)
    if stream is None:
        return None
    return models.RelayStream(
        peer=stream.peer,
        sessions=sum(owner == node_id for owner in plane.session_owner.values()),
        relays=sum(relay.owner == node_id for relay in plane.media.registry.relays.values()),
    )


# Values


def split_route(name: str) -> tuple[str, str]:
    """`namespace/route/rule`, as Envoy routes are named, as the route's name and the rule's."""
    namespace, _, rest = name.partition("/")
    route_name, _, rule = rest.partition("/")
    return (f"{namespace}/{route_name}", rule) if route_name else (name, "")


def without_credentials(url: str) -> str:
    """The URL as it may be shown; what is no RTSP URL stays out of sight."""
    if not url:
        return ""
    try:
        return str(RTSPURL.parse(url).without_userinfo())
    except URLError:
        return "(not an RTSP URL)"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
