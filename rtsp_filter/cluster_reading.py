"""Clusters and ClusterLoadAssignments → where endpoints are, or a refusal.

A field that is set and that RTSP routing cannot honour is an error which names it: the proxy then rejects the
configuration (NACK) and goes on with the one before, instead of doing something else than was asked.

Envoy API: config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2

from mesh.model import GROUP, BackendTransport, Endpoint
from rtsp_filter.reading import RouteTableError, only
from rtsp_filter.route_matching import Cluster

_USABLE = (health_check_pb2.UNKNOWN, health_check_pb2.HEALTHY, health_check_pb2.DEGRADED)
_WITH_ENDPOINTS = (cluster_pb2.Cluster.STATIC, cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.LOGICAL_DNS)

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


def read_cluster(cluster: Any) -> Cluster:
    """A Cluster. Raises RouteTableError."""
    try:
        only(cluster, _CLUSTER_FIELDS)
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


def _endpoints(assignment: Any) -> Iterator[Endpoint]:
    only(assignment, {"cluster_name", "endpoints"})
    for locality in assignment.endpoints:
        only(locality, _LOCALITY_FIELDS)
        for lb_endpoint in locality.lb_endpoints:
            only(lb_endpoint, _LB_ENDPOINT_FIELDS)
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
