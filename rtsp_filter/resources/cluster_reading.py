"""Clusters and ClusterLoadAssignments → endpoints and how they are balanced, or a refusal.

A field that is set and that RTSP routing cannot honour is an error which names it: the proxy then rejects the
configuration (NACK) and goes on with the one before, instead of doing something else than was asked.

Envoy API: config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2

from mesh.model import GROUP, BackendTLS, BackendTransport, Endpoint
from rtsp_filter.balancing import Assignment, ClusterPolicy, Health, Host
from rtsp_filter.resources.policy_reading import POLICY_FIELDS, read_labels, read_policy
from rtsp_filter.resources.reading import RouteTableError, only
from rtsp_filter.resources.tls_reading import read_tls

_HEALTH = {
    health_check_pb2.UNKNOWN: Health.HEALTHY,
    health_check_pb2.HEALTHY: Health.HEALTHY,
    health_check_pb2.DEGRADED: Health.DEGRADED,
    health_check_pb2.UNHEALTHY: Health.UNHEALTHY,
    health_check_pb2.TIMEOUT: Health.UNHEALTHY,
}
"""Those that drain are taken away on purpose: not even panic sends anybody there."""
_WITH_ENDPOINTS = (cluster_pb2.Cluster.STATIC, cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.LOGICAL_DNS)
MAX_PRIORITY = 128
"""Envoy's own bound."""

_CLUSTER_FIELDS = POLICY_FIELDS | {
    "name",
    "alt_stat_name",
    "type",
    "eds_cluster_config",
    "load_assignment",
    "connect_timeout",
    "dns_lookup_family",
    "metadata",
    "transport_socket",
}
_LOCALITY_FIELDS = {"locality", "lb_endpoints", "load_balancing_weight", "priority"}
_LB_ENDPOINT_FIELDS = {"endpoint", "metadata", "health_status", "load_balancing_weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a cluster's endpoints are, in itself or (None) in the `assignment` of that name, how to balance,
    and how to speak to them by TLS (None: in the clear)."""

    name: str
    endpoints: Assignment | None = None
    assignment: str = ""
    policy: ClusterPolicy = field(default_factory=ClusterPolicy)
    tls: BackendTLS | None = None


def read_cluster(cluster: Any) -> Cluster:
    """A Cluster. Raises RouteTableError."""
    try:
        only(cluster, _CLUSTER_FIELDS)
        policy, tls = read_policy(cluster), read_tls(cluster)
        if cluster.type == cluster_pb2.Cluster.EDS:
            source = cluster.eds_cluster_config.service_name or cluster.name
            return Cluster(name=cluster.name, assignment=source, policy=policy, tls=tls)
        if cluster.type not in _WITH_ENDPOINTS:
            raise ValueError(f"the type {cluster_pb2.Cluster.DiscoveryType.Name(cluster.type)} is not supported")
        return Cluster(name=cluster.name, endpoints=_assignment(cluster.load_assignment), policy=policy, tls=tls)
    except ValueError as error:
        raise RouteTableError(f"cluster {cluster.name}", str(error)) from None


def read_assignment(assignment: Any) -> Assignment:
    """The endpoints of a ClusterLoadAssignment, those that drain left out. Raises RouteTableError."""
    try:
        return _assignment(assignment)
    except ValueError as error:
        raise RouteTableError(f"endpoints of {assignment.cluster_name}", str(error)) from None


def _assignment(assignment: Any) -> Assignment:
    only(assignment, {"cluster_name", "endpoints", "policy"})
    only(assignment.policy, {"overprovisioning_factor"})
    hosts = tuple(_hosts(assignment))
    if assignment.policy.HasField("overprovisioning_factor"):
        return Assignment(hosts=hosts, overprovisioning=assignment.policy.overprovisioning_factor.value)
    return Assignment(hosts=hosts)


def _hosts(assignment: Any) -> Iterator[Host]:
    for locality in assignment.endpoints:
        only(locality, _LOCALITY_FIELDS)
        if locality.priority > MAX_PRIORITY:
            raise ValueError(f"the priority {locality.priority} is above {MAX_PRIORITY}")
        place = locality.locality
        for lb_endpoint in locality.lb_endpoints:
            only(lb_endpoint, _LB_ENDPOINT_FIELDS)
            if lb_endpoint.health_status not in _HEALTH:
                continue
            yield Host(
                endpoint=_endpoint(lb_endpoint),
                weight=lb_endpoint.load_balancing_weight.value or 1,
                health=_HEALTH[lb_endpoint.health_status],
                priority=locality.priority,
                locality=(place.region, place.zone, place.sub_zone),
                locality_weight=locality.load_balancing_weight.value,
                labels=read_labels(lb_endpoint.metadata),
            )


def _endpoint(lb_endpoint: Any) -> Endpoint:
    only(lb_endpoint.endpoint, {"address", "hostname"})
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
        credentials=known.get("credentials", ""),
    )
