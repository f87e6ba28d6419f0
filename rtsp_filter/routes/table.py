"""Which camera an RTSP URL goes to, and why.

A `RouteTable` is made of xDS resources and never changes. `decide` answers with the endpoint to ask and the path to ask
it for, or with the reason why there is none. Who chooses among several is an argument: a proxy's balancer, or a number,
so that a question has the same answer each time in a test and in `msm explain`. The account of how it came to be is
written only when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import Any, Protocol

from mesh.model import BackendTransport, Endpoint
from rtsp_filter.balancing import NO_ENDPOINT, Assignment, Health, Labels, hash_of
from rtsp_filter.resources.access import Access
from rtsp_filter.resources.cluster_reading import Cluster, read_assignment, read_cluster
from rtsp_filter.resources.reading import RouteTableError
from rtsp_filter.resources.secret_reading import credentials_among, read_secret, users_among
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.explaining import explain
from rtsp_filter.routes.header_changes import NO_CHANGES, MessageChanges
from rtsp_filter.routes.matching import (
    RouteEntry,
    VirtualHost,
    WeightedCluster,
    choose,
    plain_spelling,
    upstream_path,
)
from rtsp_filter.routes.mirrors import Mirror
from rtsp_filter.routes.patience import PATIENCE, Patience
from rtsp_filter.routes.reading import read_virtual_hosts
from rtsp_filter.routes.redirects import Redirect
from rtsp_filter.routes.request import RouteRequest, Tried, bare_host
from rtsp_filter.rtsp import Credentials, RTSPError, StatusCode

__all__ = [
    "Answer",
    "Chance",
    "Chooser",
    "Decision",
    "HostTable",
    "NoRoute",
    "NoRouteKind",
    "Redirection",
    "RouteRequest",
    "RouteTable",
    "RouteTableError",
    "Tried",
    "Upstream",
    "read_assignment",
    "read_cluster",
    "read_virtual_hosts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The server to ask. `base_path` is the endpoint's own; `path` is all of it, to be sent as it is. `credentials`
    names what it is told where it asks for a password; empty: the player is asked."""

    name: str
    address: str
    port: int
    base_path: str
    path: str
    transport: BackendTransport
    credentials: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a session goes. `path` is the path after the rewrite, without the endpoint's base path and the query.
    `users` names those whom the route is for, who have to prove it; empty: everybody.

    `headers` and `patience` are for the requests that go there. `mirrors` get the session as well, those of them whose
    turn it is; `query` (with its "?") and `key_hash`, where the session is at home, are for the choice among them.
    `labels` are those that an endpoint must have.
    """

    virtual_host: str
    route: str
    match: str
    cluster: str
    path: str
    upstream: Upstream
    headers: MessageChanges = NO_CHANGES
    patience: Patience = PATIENCE
    users: str = ""
    mirrors: tuple[Mirror, ...] = ()
    query: str = ""
    key_hash: int | None = None
    labels: Labels = frozenset()
    _why: Callable[[], tuple[str, ...]] = field(repr=False, compare=False)

    @property
    def reasons(self) -> tuple[str, ...]:
        """How it came to be: one sentence for each step."""
        return self._why()

    def elsewhere(self, endpoint: Endpoint) -> Decision:
        """The same path at another endpoint of the cluster."""
        why = (f"Endpoint {endpoint.name} takes over a session of {self.upstream.name}.",)
        return replace(self, upstream=_upstream(endpoint, self.path, self.query), _why=lambda: why)

    def mirrored(self, mirror: Mirror, endpoint: Endpoint) -> Decision:
        """Where a mirror's session goes: the same path, at another cluster's endpoint."""
        why = (f"Route {self.route} mirrors sessions: {mirror}.",)
        upstream = _upstream(endpoint, self.path, self.query)
        return replace(self, cluster=mirror.cluster, upstream=upstream, mirrors=(), _why=lambda: why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """What a player is told to ask for instead. `headers` are for the answer that says so."""

    virtual_host: str
    route: str
    match: str
    status: StatusCode
    location: str
    headers: MessageChanges
    _why: Callable[[], tuple[str, ...]] = field(repr=False, compare=False)

    @property
    def reasons(self) -> tuple[str, ...]:
        """How it came to be: one sentence for each step."""
        return self._why()


class NoRouteKind(Enum):
    """Why a session goes nowhere."""

    NOT_FOUND = "not found"
    """No route matches: 404."""
    NO_ENDPOINT = "no endpoint"
    """A route matches, but its backend has no server to offer: 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoute:
    """Why a session goes nowhere; `message` is one sentence for the player."""

    kind: NoRouteKind
    message: str
    _why: Callable[[], tuple[str, ...]] = field(repr=False, compare=False)

    @property
    def reasons(self) -> tuple[str, ...]:
        """How it came to be: one sentence for each step."""
        return self._why()


Answer = Decision | Redirection | NoRoute


class Chooser(Protocol):
    """Picks one of several that a route allows."""

    def cluster(self, virtual_host: VirtualHost, route: RouteEntry) -> WeightedCluster:
        """One of the route's clusters."""

    def endpoint(self, share: WeightedCluster, route: RouteEntry, request: RouteRequest) -> Endpoint | str:
        """An endpoint of a cluster, or why there is none, as it goes on from "the backend …"."""


class HostTable:
    """Finds the virtual host of a host name: an exact domain, then the longest "*.suffix", then "*"."""

    def __init__(self, virtual_hosts: Sequence[VirtualHost] = ()) -> None:
        self.virtual_hosts = tuple(virtual_hosts)
        by_domain = {bare_host(domain): host for host in self.virtual_hosts for domain in host.domains}
        self._exact = {domain: host for domain, host in by_domain.items() if not domain.startswith("*")}
        wildcards = [(domain[1:], host) for domain, host in by_domain.items() if domain.startswith("*")]
        self._suffixes = sorted(wildcards, key=lambda item: -len(item[0]))
        self.for_some = any(route.users for host in self.virtual_hosts for route in host.routes)
        """Whether any route is for some users only."""

    def find(self, host: str) -> VirtualHost | None:
        """The virtual host for the host part of a URL; a port in it counts for nothing, nor does its case."""
        name = bare_host(host.lower())
        if name in self._exact:
            return self._exact[name]
        return next((item for suffix, item in self._suffixes if _ends_with(name, suffix)), None)


_NOBODY = Assignment()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """Routes, clusters by name, assignments by cluster name, credentials and users by theirs; what is not known yet is
    simply not there."""

    hosts: HostTable = field(default_factory=HostTable)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    users: Mapping[str, UserList] = field(default_factory=dict)

    @staticmethod
    def from_xds(
        route_configuration: Any, clusters: Iterable[Any], assignments: Iterable[Any], secrets: Iterable[Any] = ()
    ) -> RouteTable:
        """A table of xDS messages. Raises RouteTableError for what cannot be honoured."""
        known = {secret.name: read_secret(secret) for secret in secrets}
        return RouteTable(
            hosts=HostTable(read_virtual_hosts(route_configuration)),
            clusters={cluster.name: read_cluster(cluster) for cluster in clusters},
            assignments={item.cluster_name: read_assignment(item) for item in assignments},
            credentials=credentials_among(known),
            users=users_among(known),
        )

    def users_name(self, request: RouteRequest) -> str:
        """The name of those whom the route of `request` is for; empty where there is none, or it is for everybody.

        Raises RTSPError (403) for another spelling of a path that is for others: cameras may not tell them apart.
        """
        virtual_host = self.hosts.find(request.host) if self.hosts.for_some else None
        if virtual_host is None:
            return ""
        users = _users_of(virtual_host.find(request))
        plain = plain_spelling(request.plain_path)
        if plain != request.plain_path:
            respelt = replace(request, path=plain + request.query)
            if _users_of(virtual_host.find(respelt)) not in ("", users):
                raise RTSPError("this path is for others when it is spelt plainly", status=StatusCode.FORBIDDEN)
        return users

    def decide(self, request: RouteRequest, choose: Chooser) -> Answer:
        """Where `request` goes; `choose` picks one of those that its route allows."""
        virtual_host = self.hosts.find(request.host)

        def why() -> tuple[str, ...]:
            return tuple(explain(self, request, virtual_host, answer))

        answer = self._answer(request, virtual_host, choose, why)
        return answer

    def resumed(self, decision: Decision) -> Decision:
        """A decision of before, with what its route says now of headers and patience; one that is gone says nothing.
        Whom it is for does not change."""
        hosts = (each for each in self.hosts.virtual_hosts if each.name == decision.virtual_host)
        routes = (each for host in hosts for each in host.routes if each.name == decision.route)
        known = next((each for each in routes if each.wanted == decision.match), None)
        return decision if known is None else replace(decision, headers=known.headers, patience=known.patience)

    def endpoints(self, cluster: str) -> tuple[Endpoint, ...]:
        """The usable endpoints of a cluster, as far as they are known."""
        hosts = self.assignment(cluster).hosts
        return tuple(host.endpoint for host in hosts if host.health is not Health.UNHEALTHY)

    def assignment(self, cluster: str) -> Assignment:
        """What is known of a cluster's endpoints."""
        known = self.clusters.get(cluster)
        if known is None:
            return _NOBODY
        return known.endpoints if known.endpoints is not None else self.assignments.get(known.assignment, _NOBODY)

    def has_credentials(self, endpoint: Endpoint | Upstream) -> bool:
        """Whether it is known what an endpoint is told, if it is told anything."""
        return not endpoint.credentials or endpoint.credentials in self.credentials

    def access(self, cluster: str, endpoint: Endpoint | Upstream) -> Access:
        """How an endpoint of a cluster is spoken to. Raises RTSPError with 503 where that is not known: nothing is sent
        in a way that nobody asked for."""
        if cluster not in self.clusters:
            raise RTSPError(f"the backend {cluster} is not there any more", status=StatusCode.SERVICE_UNAVAILABLE)
        name = endpoint.credentials
        if not self.has_credentials(endpoint):
            raise RTSPError(f"the credentials {name} are not known yet", status=StatusCode.SERVICE_UNAVAILABLE)
        return Access(
            tls=self.clusters[cluster].tls,
            tunnelled=endpoint.transport is BackendTransport.HTTP,
            credentials=self.credentials[name] if name else None,
        )

    def _answer(
        self,
        request: RouteRequest,
        virtual_host: VirtualHost | None,
        choose: Chooser,
        why: Callable[[], tuple[str, ...]],
    ) -> Answer:
        if virtual_host is None:
            message = f'no route is for the host "{bare_host(request.host)}"'
            return NoRoute(kind=NoRouteKind.NOT_FOUND, message=message, _why=why)
        route = virtual_host.find(request)
        if route is None:
            message = f'no route matches the path "{request.plain_path}"'
            return NoRoute(kind=NoRouteKind.NOT_FOUND, message=message, _why=why)
        if route.redirect is not None:
            return _redirection(virtual_host, route, route.redirect, request, why)
        share = _tried_share(route, request.tried) or choose.cluster(virtual_host, route)
        endpoint = choose.endpoint(share, route, request)
        if isinstance(endpoint, str):
            return NoRoute(kind=NoRouteKind.NO_ENDPOINT, message=f"the backend {share.name} {endpoint}", _why=why)
        rewritten = route.rewritten(request.plain_path)
        return Decision(
            virtual_host=virtual_host.name,
            route=route.name,
            match=route.wanted,
            cluster=share.name,
            path=rewritten,
            upstream=_upstream(endpoint, rewritten, request.query),
            headers=route.headers,
            patience=route.patience,
            users=route.users,
            mirrors=route.mirrors,
            query=request.query,
            key_hash=hash_of(route.hash_policies, request) if route.mirrors else None,
            labels=share.labels,
            _why=why,
        )


class Chance:
    """Lets one number decide, whatever clusters say of balancing: each endpoint of a cluster is as likely."""

    def __init__(self, table: RouteTable, random: float) -> None:
        """`random` is in [0, 1)."""
        self._table = table
        self._random = random
        self._rest = Fraction()

    def cluster(self, virtual_host: VirtualHost, route: RouteEntry) -> WeightedCluster:
        index, self._rest = choose([share.weight for share in route.clusters], self._random)
        return route.clusters[index]

    def endpoint(self, share: WeightedCluster, route: RouteEntry, request: RouteRequest) -> Endpoint | str:
        tried = frozenset() if request.tried is None else request.tried.endpoints
        endpoints = [each for each in self._table.endpoints(share.name) if each.name not in tried]
        return endpoints[int(self._rest * len(endpoints))] if endpoints else NO_ENDPOINT


def _users_of(route: RouteEntry | None) -> str:
    return "" if route is None else route.users


def _tried_share(route: RouteEntry, tried: Tried | None) -> WeightedCluster | None:
    """The cluster that a request has been tried at already: it stays there."""
    return None if tried is None else next((each for each in route.clusters if each.name == tried.cluster), None)


def _redirection(
    host: VirtualHost, route: RouteEntry, redirect: Redirect, request: RouteRequest, why: Callable[[], tuple[str, ...]]
) -> Redirection:
    return Redirection(
        virtual_host=host.name,
        route=route.name,
        match=route.wanted,
        status=redirect.status,
        location=redirect.location(request, route.rewritten(request.plain_path)),
        headers=route.headers,
        _why=why,
    )


def _ends_with(name: str, suffix: str) -> bool:
    """Whether "*" and `suffix` stand for `name`: alone "*" is for anything, before a suffix for at least a letter."""
    return suffix == "" or (len(name) > len(suffix) and name.endswith(suffix))


def _upstream(endpoint: Endpoint, path: str, query: str) -> Upstream:
    return Upstream(
        name=endpoint.name,
        address=endpoint.address,
        port=endpoint.port,
        base_path=endpoint.path,
        path=upstream_path(endpoint.path, path, query),
        transport=endpoint.transport,
        credentials=endpoint.credentials,
    )
