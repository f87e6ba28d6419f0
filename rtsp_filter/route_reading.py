"""xDS messages → the parts of a route table, or a refusal.

A field that is set and that RTSP routing cannot honour is an error which names it: the proxy then rejects the
configuration (NACK) and goes on with the one before, instead of doing something else than was asked.

Envoy API: config.route.v3.RouteConfiguration, config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2

from mesh.model import GROUP, BackendTransport, Endpoint
from mesh.regex import compile_regex
from rtsp_filter.route_matching import (
    Cluster,
    MatchKind,
    PathMatcher,
    PrefixRewrite,
    RegexRewrite,
    Rewrite,
    RouteEntry,
    VirtualHost,
    WeightedCluster,
)

_USABLE = (health_check_pb2.UNKNOWN, health_check_pb2.HEALTHY, health_check_pb2.DEGRADED)
_WITH_ENDPOINTS = (cluster_pb2.Cluster.STATIC, cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.LOGICAL_DNS)

_CONFIGURATION_FIELDS = {"name", "virtual_hosts", "ignore_port_in_host_matching"}
_VIRTUAL_HOST_FIELDS = {"name", "domains", "routes", "metadata"}
_ROUTE_FIELDS = {"name", "match", "route", "metadata"}
_MATCH_FIELDS = {"path", "prefix", "path_separated_prefix", "safe_regex"}
# Time-outs are RTSP's own here.
_ACTION_FIELDS = {"cluster", "weighted_clusters", "prefix_rewrite", "regex_rewrite", "timeout", "idle_timeout"}
_CLUSTER_FIELDS = {
    "name",
    "alt_stat_name",
    "type",
    "eds_cluster_config",
    "load_assignment",
    "connect_timeout",
    "dns_lookup_family",
    "metadata",
}
_LOCALITY_FIELDS = {"locality", "lb_endpoints", "load_balancing_weight"}
_LB_ENDPOINT_FIELDS = {"endpoint", "metadata", "health_status"}


class RouteTableError(Exception):
    """A resource that cannot be honoured. `resource` names it, the message says what and why."""

    def __init__(self, resource: str, message: str) -> None:
        super().__init__(f"{resource}: {message}")
        self.resource = resource


def read_virtual_hosts(configuration: Any) -> tuple[VirtualHost, ...]:
    """The virtual hosts of a RouteConfiguration. Raises RouteTableError."""
    where = f"route configuration {configuration.name}"
    try:
        _only(configuration, _CONFIGURATION_FIELDS)
        hosts = tuple(_virtual_host(host) for host in configuration.virtual_hosts)
        _check_domains(hosts)
    except ValueError as error:
        raise RouteTableError(where, str(error)) from None
    return hosts


def read_cluster(cluster: Any) -> Cluster:
    """A Cluster. Raises RouteTableError."""
    try:
        _only(cluster, _CLUSTER_FIELDS)
        if cluster.type == cluster_pb2.Cluster.EDS:
            return Cluster(name=cluster.name, assignment=cluster.eds_cluster_config.service_name or cluster.name)
        if cluster.type not in _WITH_ENDPOINTS:
            raise ValueError(f"the type {cluster_pb2.Cluster.DiscoveryType.Name(cluster.type)} is not supported")
        return Cluster(name=cluster.name, endpoints=tuple(_endpoints(cluster.load_assignment)))
    except ValueError as error:
        raise RouteTableError(f"cluster {cluster.name}", str(error)) from None


def read_assignment(assignment: Any) -> tuple[Endpoint, ...]:
    """The usable endpoints of a ClusterLoadAssignment. Raises RouteTableError."""
    try:
        return tuple(_endpoints(assignment))
    except ValueError as error:
        raise RouteTableError(f"endpoints of {assignment.cluster_name}", str(error)) from None


def _only(message: Any, known: set[str]) -> None:
    for descriptor, _ in message.ListFields():
        if descriptor.name not in known:
            raise ValueError(f"{descriptor.containing_type.name}.{descriptor.name} is not supported")


def _virtual_host(host: Any) -> VirtualHost:
    try:
        _only(host, _VIRTUAL_HOST_FIELDS)
        routes = tuple(_route(route) for route in host.routes)
    except ValueError as error:
        raise ValueError(f"virtual host {host.name}: {error}") from None
    return VirtualHost(name=host.name, domains=tuple(domain.lower() for domain in host.domains), routes=routes)


def _check_domains(hosts: tuple[VirtualHost, ...]) -> None:
    owners: dict[str, str] = {}
    for host in hosts:
        for domain in host.domains:
            if "*" in domain[1:]:
                raise ValueError(f'virtual host {host.name}: in the domain "{domain}" only a leading * is supported')
            if owners.setdefault(domain, host.name) != host.name:
                raise ValueError(f'the domain "{domain}" belongs to both {owners[domain]} and {host.name}')


def _route(route: Any) -> RouteEntry:
    try:
        _only(route, _ROUTE_FIELDS)
        if not route.HasField("route"):
            raise ValueError("only routes to clusters are supported")
        return RouteEntry(
            name=route.name,
            match=_matcher(route.match),
            clusters=tuple(_clusters(route.route)),
            rewrite=_rewrite(route.route),
        )
    except ValueError as error:
        raise ValueError(f"route {route.name}: {error}") from None


def _matcher(match: Any) -> PathMatcher:
    _only(match, _MATCH_FIELDS)
    kind = match.WhichOneof("path_specifier")
    if kind == "path":
        return PathMatcher(kind=MatchKind.EXACT, value=match.path)
    if kind == "prefix":
        return PathMatcher(kind=MatchKind.PREFIX, value=match.prefix)
    if kind == "path_separated_prefix":
        return PathMatcher(kind=MatchKind.PATH_PREFIX, value=match.path_separated_prefix)
    if kind == "safe_regex":
        pattern = match.safe_regex.regex
        return PathMatcher(kind=MatchKind.REGEX, value=pattern, regex=compile_regex(pattern))
    raise ValueError("it has no condition on the path")


def _clusters(action: Any) -> Iterator[WeightedCluster]:
    _only(action, _ACTION_FIELDS)
    kind = action.WhichOneof("cluster_specifier")
    if kind == "cluster":
        yield WeightedCluster(name=action.cluster)
        return
    if kind != "weighted_clusters":
        raise ValueError("it names no cluster")
    _only(action.weighted_clusters, {"clusters"})
    if not any(share.weight.value for share in action.weighted_clusters.clusters):
        raise ValueError("the weights of its clusters add up to nothing")
    for share in action.weighted_clusters.clusters:
        _only(share, {"name", "weight"})
        yield WeightedCluster(name=share.name, weight=share.weight.value)


def _rewrite(action: Any) -> Rewrite | None:
    if action.HasField("regex_rewrite"):
        return RegexRewrite.of(action.regex_rewrite.pattern.regex, action.regex_rewrite.substitution)
    return PrefixRewrite(text=action.prefix_rewrite) if action.prefix_rewrite else None


def _endpoints(assignment: Any) -> Iterator[Endpoint]:
    _only(assignment, {"cluster_name", "endpoints"})
    for locality in assignment.endpoints:
        _only(locality, _LOCALITY_FIELDS)
        for lb_endpoint in locality.lb_endpoints:
            _only(lb_endpoint, _LB_ENDPOINT_FIELDS)
            if lb_endpoint.health_status in _USABLE:
                yield _endpoint(lb_endpoint)


def _endpoint(lb_endpoint: Any) -> Endpoint:
    address = lb_endpoint.endpoint.address.socket_address
    if not address.address or not address.port_value:
        raise ValueError("an endpoint needs an address and a port number")
    facts = lb_endpoint.metadata.filter_metadata.get(GROUP)
    known = {key: value.string_value for key, value in facts.fields.items()} if facts is not None else {}
    path = known.get("path", "")
    if path and not path.startswith("/"):
        raise ValueError(f'the path "{path}" of endpoint {address.address} does not begin with "/"')
    return Endpoint(
        name=known.get("name") or f"{address.address}:{address.port_value}",
        address=address.address,
        port=address.port_value,
        path=path,
        transport=BackendTransport(known.get("transport") or BackendTransport.AUTO.value),
    )
