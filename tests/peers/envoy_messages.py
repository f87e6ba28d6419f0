"""Envoy's messages for tests: the smallest listeners, clusters, assignments and routes that do something."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2 as udp_route_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import udp_proxy_pb2

LISTENER, CLUSTER, ROUTE, ENDPOINT = (
    f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    for message in (
        listener_pb2.Listener,
        cluster_pb2.Cluster,
        route_pb2.RouteConfiguration,
        endpoint_pb2.ClusterLoadAssignment,
    )
)
"""Type URLs."""
LOOPBACK = "127.0.0.1"
# Of a range that no host has (RFC 5737), so it cannot be bound.
NOBODYS_ADDRESS = "192.0.2.1"


def udp_listener(name: str, cluster: str | None = None, *, address: str = LOOPBACK, port: int = 0) -> Any:
    """Datagrams to `address` go to a cluster, which has the listener's name unless another is given."""
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix=name)
    action = proxy.matcher.on_no_match.action
    action.name = "route"
    action.typed_config.Pack(udp_route_pb2.Route(cluster=cluster or name))
    message = listener_pb2.Listener(name=name, address=_address(address, port, udp=True))
    message.udp_listener_config.downstream_socket_config.max_rx_datagram_size.value = 9000
    message.listener_filters.add(name="envoy.filters.udp_listener.udp_proxy").typed_config.Pack(proxy)
    return message


def http_listener(name: str, route: str, source: Any, *, address: str = LOOPBACK, port: int = 0) -> Any:
    """HTTP by a route configuration that comes from `source`."""
    manager = hcm.HttpConnectionManager(stat_prefix=name)
    manager.rds.route_config_name = route
    manager.rds.config_source.CopyFrom(source)
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(router_pb2.Router())
    message = listener_pb2.Listener(name=name, address=_address(address, port, udp=False))
    message.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    return message


def eds_cluster(name: str, source: Any, *, connect_timeout: int = 1, service_name: str = "") -> Any:
    """A cluster whose endpoints come from `source`, under its own name unless `service_name` is given."""
    message = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    message.connect_timeout.seconds = connect_timeout
    message.eds_cluster_config.service_name = service_name
    message.eds_cluster_config.eds_config.CopyFrom(source)
    # Without it changes within a second of an earlier one may wait for its end.
    message.common_lb_config.update_merge_window.SetInParent()
    return message


def assignment(name: str, *ports: int, udp: bool = True) -> Any:
    """Endpoints at ports of the loopback address."""
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for port in ports:
        endpoint = message.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.CopyFrom(_address(LOOPBACK, port, udp=udp))
    return message


def route(name: str, cluster: str) -> Any:
    """Everything goes to one cluster."""
    message = route_pb2.RouteConfiguration(name=name)
    rule = message.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    rule.match.prefix = "/"
    rule.route.cluster = cluster
    return message


def _address(address: str, port: int, *, udp: bool) -> Any:
    kind = address_pb2.SocketAddress.UDP if udp else address_pb2.SocketAddress.TCP
    where = address_pb2.SocketAddress(protocol=kind, address=address, port_value=port)
    return address_pb2.Address(socket_address=where)
