"""Which camera an RTSP URL goes to, and why.

A `RouteTable` is made of xDS resources and never changes. `decide` answers with the endpoint to ask and the path to ask
it for, or with the reason why there is none. Chance is an argument, so the same question has the same answer in a
test, in the proxy and in `msm explain`. The account of how it came to be is written only when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mesh.model import BackendTransport, Endpoint
from rtsp_filter.cluster_reading import read_assignment, read_cluster
from rtsp_filter.reading import RouteTableError
from rtsp_filter.route_explaining import explain
from rtsp_filter.route_matching import (
    Cluster,
    VirtualHost,
    WeightedCluster,
    choose,
    upstream_path,
)
from rtsp_filter.route_reading import read_virtual_hosts
from rtsp_filter.route_request import RouteRequest, bare_host

__all__ = [
    "Decision",
    "HostTable",
    "NoRoute",
    "NoRouteKind",
    "RouteInfo",
    "RouteRequest",
    "RouteTable",
    "RouteTableError",
    "Upstream",
    "read_assignment",
    "read_cluster",
    "read_virtual_hosts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The server to ask. `base_path` is the endpoint's own; `path` is all of it, to be sent as it is."""

    name: str
    address: str
    port: int
    base_path: str
    path: str
    transport: BackendTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a session goes. `path` is the path after the rewrite, without the endpoint's base path and the query."""

    virtual_host: str
    route: str
    match: str
    cluster: str
    path: str
    upstream: Upstream
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteInfo:
    """One route, for lists."""

    virtual_host: str
    domains: tuple[str, ...]
    name: str
    match: str
    rewrite: str
    clusters: tuple[WeightedCluster, ...]


class HostTable:
    """Finds the virtual host of a host name: an exact domain, then the longest "*.suffix", then "*"."""

    def __init__(self, virtual_hosts: Sequence[VirtualHost] = ()) -> None:
        self.virtual_hosts = tuple(virtual_hosts)
        by_domain = {bare_host(domain): host for host in self.virtual_hosts for domain in host.domains}
        self._exact = {domain: host for domain, host in by_domain.items() if not domain.startswith("*")}
        wildcards = [(domain[1:], host) for domain, host in by_domain.items() if domain.startswith("*")]
        self._suffixes = sorted(wildcards, key=lambda item: -len(item[0]))

    def find(self, host: str) -> VirtualHost | None:
        """The virtual host for the host part of a URL; a port in it counts for nothing, nor does its case."""
        name = bare_host(host.lower())
        if name in self._exact:
            return self._exact[name]
        return next((item for suffix, item in self._suffixes if _ends_with(name, suffix)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """Routes, clusters by name, and assignments by cluster name; what is not known yet is simply not there."""

    hosts: HostTable = field(default_factory=HostTable)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    assignments: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    @staticmethod
    def from_xds(route_configuration: Any, clusters: Iterable[Any], assignments: Iterable[Any]) -> RouteTable:
        """A table of xDS messages. Raises RouteTableError for what cannot be honoured."""
        return RouteTable(
            hosts=HostTable(read_virtual_hosts(route_configuration)),
            clusters={cluster.name: read_cluster(cluster) for cluster in clusters},
            assignments={item.cluster_name: read_assignment(item) for item in assignments},
        )

    def decide(self, request: RouteRequest, *, random: float) -> Decision | NoRoute:
        """Where `request` goes; `random` is in [0, 1)."""
        virtual_host = self.hosts.find(request.host)

        def why() -> tuple[str, ...]:
            return tuple(explain(self, request, virtual_host, answer))

        answer = self._answer(request, virtual_host, random, why)
        return answer

    def routes(self) -> Iterator[RouteInfo]:
        """All routes of all virtual hosts, in the order in which they are tried."""
        for host in self.hosts.virtual_hosts:
            for route in host.routes:
                yield RouteInfo(
                    virtual_host=host.name,
                    domains=host.domains,
                    name=route.name,
                    match=route.wanted,
                    rewrite="" if route.rewrite is None else str(route.rewrite),
                    clusters=route.clusters,
                )

    def endpoints(self, cluster: str) -> tuple[Endpoint, ...]:
        """The endpoints of a cluster, as far as they are known."""
        known = self.clusters.get(cluster)
        if known is None:
            return ()
        return known.endpoints if known.endpoints is not None else self.assignments.get(known.assignment, ())

    def _answer(
        self,
        request: RouteRequest,
        virtual_host: VirtualHost | None,
        random: float,
        why: Callable[[], tuple[str, ...]],
    ) -> Decision | NoRoute:
        if virtual_host is None:
            message = f'no route is for the host "{bare_host(request.host)}"'
            return NoRoute(kind=NoRouteKind.NOT_FOUND, message=message, _why=why)
        route = virtual_host.find(request)
        if route is None:
            message = f'no route matches the path "{request.plain_path}"'
            return NoRoute(kind=NoRouteKind.NOT_FOUND, message=message, _why=why)
        cluster, rest = choose([share.weight for share in route.clusters], random)
        name = route.clusters[cluster].name
        endpoints = self.endpoints(name)
        if not endpoints:
            message = f"the backend {name} has no endpoint now"
            return NoRoute(kind=NoRouteKind.NO_ENDPOINT, message=message, _why=why)
        rewritten = route.rewritten(request.plain_path)
        return Decision(
            virtual_host=virtual_host.name,
            route=route.name,
            match=route.wanted,
            cluster=name,
            path=rewritten,
            upstream=_upstream(endpoints[int(rest * len(endpoints))], rewritten, request.query),
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
    )
