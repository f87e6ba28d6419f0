"""A maximum time for UDP sessions. udp_proxy has none (Envoy 1.40), HTTP streams have; so a session becomes a stream.

  listener NAME        udp_proxy: every session is a CONNECT-UDP stream
  cluster NAME/loop    leads back into the same Envoy; admits the sessions
  listener NAME/inner  internal: HTTP/2, ends each stream after its time, and with it the session
  cluster NAME         the endpoints, as without a loop

The price: about half the datagrams a second of CPU; the datagram in flight at the end of a session is lost; sessions
stay where they are until they end, even when their endpoint is gone; Envoy calls its tunnels alpha. Only listeners
with a maximum pay it. A stream that is answered with an error makes Envoy 1.40 report a bug of its own, so the loop is
closed while there is no endpoint that could be answered for.

Envoy API: UdpProxyConfig.UdpTunnelingConfig, udp_proxy.session.http_capsule.v3.FilterConfig,
HttpConnectionManager, RouteAction.MaxStreamDuration, RouteAction.UpgradeConfig.
"""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.udp.udp_proxy.session.http_capsule.v3 import http_capsule_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from mesh.gateways import Algorithm, SessionPolicy
from xds_server.compile.envoy_parts import eds_cluster, packed, udp_proxy

_CONNECT_UDP = "CONNECT-UDP"
# CONNECT-UDP has to name a target; the inner listener looks at none.
_AUTHORITY = "session.invalid"
_TARGET_PORT = 1
# Streams carry the client's address, for the hash.
_CLIENT_HEADER = "x-client"
# What clients send in the millisecond until a stream stands: QUIC's first flight, with early data.
_BUFFERED_DATAGRAMS = 64
_BUFFERED_BYTES = 128 * 1024
# Bounded are the sessions; a stream is one, and a connection within Envoy carries as many as HTTP/2 can count.
_UNBOUNDED_STREAMS = 2**31 - 1
_UNBOUNDED_REQUESTS = 2**32 - 1


def loop_proxy(name: str, *, idle_milliseconds: int) -> Any:
    """The UdpProxyConfig of a listener whose sessions go through the loop."""
    proxy = udp_proxy(_loop(name), idle_milliseconds=idle_milliseconds)
    proxy.stat_prefix = name
    tunnel = proxy.tunneling_config
    tunnel.proxy_host = tunnel.target_host = _AUTHORITY
    tunnel.default_target_port = _TARGET_PORT
    tunnel.buffer_options.max_buffered_datagrams.value = _BUFFERED_DATAGRAMS
    tunnel.buffer_options.max_buffered_bytes.value = _BUFFERED_BYTES
    header = tunnel.headers_to_add.add().header
    header.key, header.value = _CLIENT_HEADER, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
    proxy.session_filters.add(
        name="envoy.filters.udp.session.http_capsule", typed_config=packed(http_capsule_pb2.FilterConfig())
    )
    return proxy


def loop(name: str, policy: SessionPolicy, *, closed: bool) -> list[Any]:
    """What leads from the outer listener to the cluster `name`; nothing gets through while it is `closed`."""
    return [_loop_cluster(name, policy.max_sessions), _loop_assignment(name, closed=closed), _inner(name, policy)]


def _loop(name: str) -> str:
    return f"{name}/loop"


def _inner_name(name: str) -> str:
    return f"{name}/inner"


def _loop_cluster(name: str, sessions: int) -> Any:
    """Envoy counts its own connection to the inner listener, one of each worker, among the sessions."""
    cluster: cluster_pb2.Cluster = eds_cluster(_loop(name))
    limits = cluster.circuit_breakers.thresholds.add()
    limits.max_connections.value = sessions
    limits.max_requests.value = limits.max_pending_requests.value = _UNBOUNDED_REQUESTS
    http = http_protocol_options_pb2.HttpProtocolOptions()
    _allow_tunnels(http.explicit_http_config.http2_protocol_options)
    cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].CopyFrom(
        packed(http)
    )
    return cluster


def _loop_assignment(name: str, *, closed: bool) -> Any:
    made = endpoint_pb2.ClusterLoadAssignment(cluster_name=_loop(name))
    if not closed:
        address = made.endpoints.add().lb_endpoints.add().endpoint.address.envoy_internal_address
        address.server_listener_name = _inner_name(name)
    return made


def _inner(name: str, policy: SessionPolicy) -> Any:
    manager = http_connection_manager_pb2.HttpConnectionManager(
        stat_prefix=name, codec_type=http_connection_manager_pb2.HttpConnectionManager.HTTP2
    )
    _allow_tunnels(manager.http2_protocol_options)
    manager.upgrade_configs.add(upgrade_type=_CONNECT_UDP)
    # The outer listener's timer ends what is idle.
    manager.stream_idle_timeout.seconds = 0
    manager.http_filters.add(name="envoy.filters.http.router", typed_config=packed(router_pb2.Router()))
    host = manager.route_config.virtual_hosts.add(name=name, domains=["*"])
    host.routes.append(_route(name, policy))
    listener = listener_pb2.Listener(name=_inner_name(name))
    listener.internal_listener.SetInParent()
    http = listener_components_pb2.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=packed(manager)
    )
    listener.filter_chains.add().filters.append(http)
    return listener


def _route(name: str, policy: SessionPolicy) -> Any:
    route = route_components_pb2.Route()
    route.match.connect_matcher.SetInParent()
    action = route.route
    action.cluster = name
    action.timeout.seconds = 0
    action.max_stream_duration.max_stream_duration.FromMilliseconds(round((policy.max_duration or 0) * 1000))
    action.upgrade_configs.add(upgrade_type=_CONNECT_UDP).connect_config.SetInParent()
    if policy.algorithm is Algorithm.MAGLEV:
        action.hash_policy.add().header.header_name = _CLIENT_HEADER
    return route


def _allow_tunnels(http2: Any) -> None:
    http2.allow_connect = True
    http2.max_concurrent_streams.value = _UNBOUNDED_STREAMS
