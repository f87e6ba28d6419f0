"""What the REST API says: one frozen model for each thing, every field with its meaning and unit.

Times are RFC 3339 in UTC, ports are numbers, addresses are without brackets. Objects are named `namespace/name`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mesh.model import BackendTransport, PathMatchType, PathRewriteType, RoutedMethod, TextMatchType
from xds_server.relays.activity import Activity
from xds_server.relays.relay import RelayState
from xds_server.subscription import SyncState, XdsProtocol

Item = TypeVar("Item")


class ApiModel(BaseModel):
    """Base of all: immutable, and nothing that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(ApiModel, Generic[Item]):
    """All objects of one kind."""

    # pydantic keeps no docstring of a generic model.
    model_config = ConfigDict(json_schema_extra={"description": "All objects of one kind."})

    items: tuple[Item, ...] = Field(description="The objects, in a stable order.")


# Routes and backends


class NamedMatch(ApiModel):
    """A condition on a header or a query parameter."""

    name: str = Field(description="Name of the header or query parameter.")
    type: TextMatchType = Field(description="How its value is compared.")
    value: str = Field(description="What it is compared with: a text, or an RE2 expression for the whole value.")


class Match(ApiModel):
    """What a request must be like: its path, and all else that is said here."""

    type: PathMatchType = Field(description="How the path is compared.")
    value: str = Field(description="What it is compared with: a path, or an RE2 expression for the whole path.")
    method: RoutedMethod | None = Field(description="The method; null: any that can begin a session.")
    headers: tuple[NamedMatch, ...] = Field(description="Conditions on headers; all must be fulfilled.")
    query_params: tuple[NamedMatch, ...] = Field(description="Conditions on query parameters, likewise.")


class PathRewrite(ApiModel):
    """How the path changes on its way to the camera."""

    type: PathRewriteType = Field(description="What of the path is replaced.")
    value: str = Field(description="What it is replaced with.")


class BackendShare(ApiModel):
    """A backend of a rule, and how many of the rule's sessions it gets."""

    backend: str = Field(description="Name of the backend, namespace/name.")
    weight: int = Field(description="Its weight, out of the sum of the rule's weights.")
    share: float = Field(description="Its share of the sessions, from 0 to 1.", json_schema_extra={"unit": "1"})


class MirrorShare(ApiModel):
    """A backend where a part of the rule's sessions is set up as well, to be measured."""

    backend: str = Field(description="Name of the backend, namespace/name.")
    share: float = Field(description="The part of the sessions, from 0 to 1.", json_schema_extra={"unit": "1"})


class Redirect(ApiModel):
    """What is different in the URL that players are told to ask for."""

    status: int = Field(description="301, 302 or 303.")
    secure: bool = Field(description="Whether it is rtsps in any case.")
    hostname: str = Field(description="The host; empty: the same.")
    port: int | None = Field(description="The port; null: the same, or the scheme's own if scheme or host differ.")
    path: PathRewrite | None = Field(description="The change of the path; null if it stays.")


class HeaderValue(ApiModel):
    """A header and its value."""

    name: str = Field(description="Name of the header.")
    value: str = Field(description="Its value.")


class HeaderChanges(ApiModel):
    """Changes to the headers of a message."""

    remove: tuple[str, ...] = Field(description="Names of headers that are taken away.")
    set: tuple[HeaderValue, ...] = Field(description="Headers that replace those of their name.")
    add: tuple[HeaderValue, ...] = Field(description="Headers that come after those of their name.")


class Retry(ApiModel):
    """When a session's first request is tried at another endpoint: always where no answer comes."""

    attempts: int = Field(description="How often, after the first time.")
    codes: tuple[int, ...] = Field(description="Statuses that make an answer a failure.")


class Rule(ApiModel):
    """Requests that match any of the conditions go to one of the backends, or are redirected."""

    name: str = Field(description="Name of the rule, unique in its route.")
    matches: tuple[Match, ...] = Field(description="Conditions; one is enough.")
    rewrite: PathRewrite | None = Field(description="Change of the path; null if it stays.")
    redirect: Redirect | None = Field(description="Where players are sent instead; null: nowhere.")
    request_headers: HeaderChanges = Field(description="Changes to requests on their way to the server.")
    response_headers: HeaderChanges = Field(description="Changes to answers on their way to the player.")
    timeout: float | None = Field(
        description="For a session's first request, all tries; null: none.", json_schema_extra={"unit": "s"}
    )
    try_timeout: float | None = Field(description="For each try; null: none.", json_schema_extra={"unit": "s"})
    retry: Retry | None = Field(description="Null: one more endpoint, if the first cannot be reached.")
    users: str | None = Field(description="The AuthenticationFilter with those whom it is for; null: everybody.")
    backends: tuple[BackendShare, ...] = Field(description="Where sessions go; empty if the rule redirects.")
    mirrors: tuple[MirrorShare, ...] = Field(description="Where sessions go as well, seen by nobody.")


class Route(ApiModel):
    """An RTSPRoute: which URLs go to which backends."""

    namespace: str = Field(description="Namespace of the route.")
    name: str = Field(description="Name of the route, unique in its namespace.")
    hostnames: tuple[str, ...] = Field(description="Hosts of the URLs that it is for; empty: any host.")
    rules: tuple[Rule, ...] = Field(description="Its rules; the most specific path wins, not the first.")


class Endpoint(ApiModel):
    """One RTSP server."""

    name: str = Field(description="Name of the endpoint, unique in its backend.")
    address: str = Field(description="IP address or host name.")
    port: int = Field(description="TCP port of RTSP.")
    path: str = Field(description="What is put in front of every path; empty: nothing.")
    transport: BackendTransport = Field(description="How media may travel from it to the mesh.")
    has_credentials: bool = Field(description="Whether the mesh has a user name and a password for it.")
    sessions: int = Field(description="Sessions that all RTSP proxies have there now, by address and port.")


class BackendTLS(ApiModel):
    """How servers prove who they are."""

    hostname: str = Field(description="The host name, or IP address, that their certificates must be for.")
    system: bool = Field(description="Whether the system's authorities are trusted, or those of ConfigMaps.")


class Backend(ApiModel):
    """RTSP servers that stand in for each other."""

    namespace: str = Field(description="Namespace of the backend.")
    name: str = Field(description="Name, unique in its namespace; `service:port` for a port of a Service.")
    endpoints: tuple[Endpoint, ...] = Field(description="Its servers; empty: a session gets 503.")
    tls: BackendTLS | None = Field(description="How they are spoken to by TLS; null: in the clear.")


class Source(ApiModel):
    """Somewhere that routes and backends come from. A bad update never replaces a good one."""

    name: str = Field(description='What the source is: "files", "command line".')
    routes: tuple[str, ...] = Field(description="Routes of its last good state, namespace/name.")
    backends: tuple[str, ...] = Field(description="Backends of its last good state, namespace/name.")
    gateways: tuple[str, ...] = Field(description="Gateways of its last good state, namespace/name.")
    taken_at: datetime | None = Field(description="Since when that state stands; null: there never was a good one.")
    errors: tuple[str, ...] = Field(
        description="Why its latest change was refused, each problem with its file and line; empty if it was not."
    )


# Sessions and relays


class SessionTransport(StrEnum):
    """How media travels between the mesh and a player."""

    UNKNOWN = "unknown"
    UDP = "udp"
    TCP = "tcp"
    MULTICAST = "multicast"


class SessionState(StrEnum):
    """What a session is doing (RFC 2326, appendix A)."""

    UNKNOWN = "unknown"
    READY = "ready"
    PLAYING = "playing"
    RECORDING = "recording"


class Session(ApiModel):
    """One RTSP session of a player."""

    id: str = Field(description="The session's id in the mesh.")
    state: SessionState = Field(description="What it is doing.")
    transport: SessionTransport = Field(description="How media reaches the player.")
    client_address: str = Field(description="IP address of the player.")
    url: str = Field(description="What the player asked for, without credentials.")
    upstream_url: str = Field(description="What the camera is asked for, without credentials.")
    route: str = Field(description="The route that it took, namespace/name.")
    rule: str = Field(description="The rule of that route.")
    backend: str = Field(description="The backend that was chosen, namespace/name.")
    endpoint: str = Field(description="The endpoint of that backend.")
    media: tuple[str, ...] = Field(description='Its tracks: "video", "audio".')
    relays: tuple[str, ...] = Field(description="Ids of the relays that carry its tracks; none over TCP.")
    proxy: str = Field(
        description="Node id of the RTSP proxy that serves it; empty while it waits for one, since its own is gone."
    )
    started_at: datetime = Field(description="When it began.")


class PortPair(ApiModel):
    """UDP ports of one track."""

    rtp: int = Field(description="UDP port of RTP.")
    rtcp: int = Field(description="UDP port of RTCP.")


class Receiver(ApiModel):
    """Where a track's media goes."""

    address: str = Field(description="IP address of the player.")
    ports: PortPair = Field(description="The player's ports.")


class RelayTraffic(ApiModel):
    """What has passed through a relay, as the media proxy counts it; it is a second old at most."""

    packets_received: int = Field(description="Packets of RTP that came from the sender.")
    packets_sent: int = Field(description="Packets of RTP that went to the receiver.")
    bytes_sent: int = Field(description="Bytes of RTP that went to the receiver.", json_schema_extra={"unit": "B"})
    receiver_packets: int = Field(description="Packets of RTCP that came from the receiver.")
    media_age: float | None = Field(
        description="Since when nothing came from the sender; null: never yet.", json_schema_extra={"unit": "s"}
    )
    receiver_age: float | None = Field(
        description="Since when nothing came from the receiver; null: never yet.", json_schema_extra={"unit": "s"}
    )


class Relay(ApiModel):
    """One track's way through the media proxy."""

    id: str = Field(description="The relay's id.")
    session: str = Field(description="Id of the session that it belongs to.")
    media: str = Field(description='Which track it carries: "video", "audio".')
    state: RelayState = Field(
        description="waiting: for a slot; opening: until Envoy has acknowledged it; ready: media may flow."
    )
    slot: int | None = Field(description="Number of its media slot, from 0; null while it waits.")
    addresses: tuple[str, ...] = Field(description="Addresses of the media proxy; wildcards mean all of them.")
    ingress: PortPair | None = Field(description="Where the camera sends to; null while it waits.")
    egress: PortPair | None = Field(description="Where the player sees media come from; null while it waits.")
    receiver: Receiver | None = Field(description="Where the media goes; null while that is not known yet.")
    activity: Activity = Field(
        description="flowing; silent: its session plays, and nothing comes from the sender; idle: its session does not"
        " play; unknown: the media proxy has not reported, or not for long enough."
    )
    traffic: RelayTraffic | None = Field(description="What has passed; null: the media proxy has not reported yet.")
    proxy: str = Field(description="Node id of the RTSP proxy that asked for it.")


# Proxies


class ProxyKind(StrEnum):
    """What a proxy carries."""

    MEDIA = "media"
    """Envoy: RTP and RTCP over UDP, and all gateways."""
    GATEWAY = "gateway"
    """Envoy: gateways alone."""
    RTSP = "rtsp"
    """The RTSP proxy: sessions, and media interleaved in TCP."""


class StateCount(ApiModel):
    """How many resources are in a state."""

    state: SyncState = Field(description="The state.")
    resources: int = Field(description="Resources in it.")


class XdsStream(ApiModel):
    """A proxy's newest xDS stream."""

    peer: str = Field(description="The proxy's address, as gRPC writes it.")
    connected_at: datetime = Field(description="Since when it is connected.")
    protocol: XdsProtocol = Field(description="delta: incremental; sotw: state of the world.")
    streams: int = Field(
        description="Streams open under this node id: one a type, or of two proxies that share it, when several."
    )
    throttled: int = Field(description="Requests that had to wait because they came too fast, on all these streams.")
    unanswered_for: float | None = Field(
        description="Age of the oldest response that the proxy has neither accepted nor refused; null: none.",
        json_schema_extra={"unit": "s"},
    )
    resources: tuple[StateCount, ...] = Field(description="The proxy's resources by state; no state of none.")


class RelayStream(ApiModel):
    """An RTSP proxy's stream to the relay service."""

    peer: str = Field(description="The proxy's address, as gRPC writes it.")
    sessions: int = Field(description="Sessions that it serves.")
    relays: int = Field(description="Relays that it holds.")


class Proxy(ApiModel):
    """A connected proxy: an Envoy or an RTSP proxy."""

    id: str = Field(description="Its node id.")
    kind: ProxyKind = Field(description="media: Envoy; gateway: Envoy, for gateways alone; rtsp: the RTSP proxy.")
    cluster: str = Field(description="Its node cluster, which says what configuration it gets.")
    software: str = Field(description="What it says it is, such as envoy; empty if it does not say.")
    version: str = Field(description="Version of that software; empty if it does not say.")
    xds: XdsStream | None = Field(description="Its configuration stream; null while that is not connected.")
    relay_stream: RelayStream | None = Field(description="Its relay stream; null for Envoy, or while not connected.")


class ProxyResource(ApiModel):
    """One resource as one proxy has it."""

    type: str = Field(description="Short name of the type: lds, cds, eds, rds.")
    type_url: str = Field(description="The type's full URL.")
    name: str = Field(description="Name of the resource.")
    state: SyncState = Field(
        description="synced: acknowledged; sent: no answer yet; not_sent: due; stale: an older version is in use;"
        " rejected: refused, the version before stays in use."
    )
    version_sent: str | None = Field(description="Version sent last (hash of the content); null: none, or a removal.")
    version_acknowledged: str | None = Field(description="Version acknowledged last; null: none, or a removal.")
    error: str | None = Field(description="Why the proxy refused it, in the proxy's words; null if it did not.")


# Explanations


class Outcome(StrEnum):
    """Where a URL leads to."""

    ROUTED = "routed"
    REDIRECTED = "redirected"
    NOT_FOUND = "not_found"
    NO_ENDPOINT = "no_endpoint"


class Target(ApiModel):
    """A server that a session may go to."""

    endpoint: str = Field(description="Name of the endpoint.")
    address: str = Field(description="IP address or host name of the server.")
    port: int = Field(description="TCP port of the server.")
    url: str = Field(description="What it is asked for.")
    transport: BackendTransport = Field(description="How media may travel from it to the mesh.")
    share: float = Field(description="Its share of the sessions, from 0 to 1.", json_schema_extra={"unit": "1"})
    left_out: tuple[str, ...] = Field(description="RTSP proxies that give it no new sessions now, and why. No share.")


class Candidate(ApiModel):
    """A backend of the rule that applies."""

    backend: str = Field(description="Name of the backend, namespace/name.")
    weight: int = Field(description="Its weight, out of the sum of the rule's weights.")
    share: float = Field(description="Its share of the sessions, from 0 to 1.", json_schema_extra={"unit": "1"})
    targets: tuple[Target, ...] = Field(description="Its servers; empty: a session that falls on it gets 503.")


class ServingProxy(ApiModel):
    """An RTSP proxy that would answer the player."""

    id: str = Field(description="Its node id.")
    current: bool = Field(description="Whether it has acknowledged all routes, clusters and endpoints as they are.")


class Explanation(ApiModel):
    """Where an RTSP URL leads to, and why."""

    url: str = Field(description="The URL in question, without credentials.")
    outcome: Outcome = Field(
        description="routed, redirected, or why not: no route matches, or its backends have no endpoint."
    )
    status: int = Field(description="RTSP status of a refusal (404, 503) or redirect (301 to 303); 200 if routed.")
    location: str | None = Field(description="What a redirected player is told to ask for; null: not redirected.")
    message: str = Field(description="The outcome in one sentence.")
    virtual_host: str | None = Field(description="The virtual host that applies to the URL's host; null: none does.")
    route: str | None = Field(description="The route that matches, namespace/name; null: none does.")
    rule: str | None = Field(description="The rule of that route; null: none matches.")
    match: str | None = Field(description="What the rule wants that the request fulfils; null: no rule matches.")
    rewritten_path: str | None = Field(description="The path after the rule's rewrite; null if nothing matches.")
    candidates: tuple[Candidate, ...] = Field(description="The rule's backends; each session falls on one by chance.")
    rtsp_proxies: tuple[ServingProxy, ...] = Field(description="Connected RTSP proxies, which route by these rules.")
    media_proxies: tuple[str, ...] = Field(description="Node ids of connected Envoys, which carry UDP media.")
    reasons: tuple[str, ...] = Field(description="How the outcome came to be: one sentence for each step.")


# Health and errors


class Health(ApiModel):
    """This process lives."""

    status: str = Field(default="ok", description='Always "ok".')


class Readiness(ApiModel):
    """A session would work now."""

    ready: bool = Field(default=True, description="Always true; otherwise the answer is a problem of status 503.")


class InvalidParameter(ApiModel):
    """A part of a request that cannot be used."""

    parameter: str = Field(description="Where it is: query.url, path.name.")
    message: str = Field(description="What is wrong with it.")


class Problem(ApiModel):
    """What went wrong (problem details, RFC 9457)."""

    type: str = Field(description="A link to the meaning of this kind of problem, relative to this server.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong this time, and what to do.")
    instance: str = Field(description="The path of the request.")
    reasons: tuple[str, ...] = Field(default=(), description="Every reason, where there may be several.")
    errors: tuple[InvalidParameter, ...] = Field(default=(), description="What is wrong with the request.")

    def body(self) -> dict[str, Any]:
        """As JSON data, without the lists that are empty."""
        return self.model_dump(mode="json", exclude_defaults=True)
