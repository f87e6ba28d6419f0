"""Gateways → Envoy: for each listener that has a route a Listener, a Cluster and a ClusterLoadAssignment of one name.

The name is the listener's, not the route's: when a listener gets another route, the assignment changes and nothing
else. What a change costs the sessions of its listener:

  endpoints, weights, another route   assignment   sessions of endpoints that stay go on
  algorithm, limits, health checks    cluster      sessions begin anew
  timers, balancing by packet, log    listener     sessions begin anew

A UDP listener whose sessions have a maximum time has a loop more: session_loop.py.

Envoy API: config.listener.v3.Listener, config.cluster.v3.Cluster, extensions.filters.udp.udp_proxy.v3.UdpProxyConfig,
extensions.filters.network.tcp_proxy.v3.TcpProxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import udp_proxy_pb2

from mesh.attachments import Attachment
from mesh.gateways import Algorithm, HealthCheck, ProbeProtocol, SessionPolicy, TransportProtocol
from mesh.objects import ObjectName
from xds_server.compile.access_logs import access_log
from xds_server.compile.assignments import Share, assignment
from xds_server.compile.envoy_parts import eds_cluster, packed, tcp_address, udp_listener, udp_proxy
from xds_server.compile.session_loop import loop, loop_proxy

_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: cluster_pb2.Cluster.ROUND_ROBIN,
    Algorithm.LEAST_REQUEST: cluster_pb2.Cluster.LEAST_REQUEST,
    Algorithm.RANDOM: cluster_pb2.Cluster.RANDOM,
    Algorithm.MAGLEV: cluster_pb2.Cluster.MAGLEV,
}
# Percent of endpoints that must be healthy, or all are tried: with the least possible, all are tried when none is
# healthy, because then the probes may be what is broken. Envoy's own 50 would send sessions to dead endpoints.
_PANIC_PERCENT = 1


def resource_name(gateway: ObjectName, listener: str) -> str:
    """The name of a listener's Envoy resources, as in `gateway/default/edge/game`."""
    return f"gateway/{gateway}/{listener}"


def compile_attachment(attachment: Attachment, shares: Sequence[Share], default_addresses: Sequence[str]) -> list[Any]:
    """The messages of one listener. `shares` are the route's backends; `default_addresses` are for gateways that name
    none."""
    name = resource_name(attachment.gateway.name, attachment.listener.name)
    protocol, policy = attachment.listener.protocol, attachment.policy
    endpoints = assignment(name, shares, protocol, policy)
    cluster = _cluster(name, protocol, policy)
    addresses = attachment.gateway.addresses or tuple(default_addresses)
    make_listener = _udp_listener if protocol is TransportProtocol.UDP else _tcp_listener
    listener = make_listener(name, attachment, addresses)
    looped = loop(name, policy, closed=not _hosts(shares)) if _is_looped(attachment) else []
    if all(_is_ip_address(host) for host in _hosts(shares)):
        return [cluster, endpoints, *looped, listener]
    # EDS takes IP addresses only. A cluster with host names carries its endpoints itself.
    cluster.ClearField("eds_cluster_config")
    cluster.type = cluster_pb2.Cluster.STRICT_DNS
    # Envoy prefers IPv6 where a name has both, and a UDP session cannot find out that nobody is there.
    cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
    cluster.load_assignment.CopyFrom(endpoints)
    return [cluster, *looped, listener]


def _is_looped(attachment: Attachment) -> bool:
    return attachment.listener.protocol is TransportProtocol.UDP and attachment.policy.max_duration is not None


def _udp_listener(name: str, attachment: Attachment, addresses: Sequence[str]) -> Any:
    policy = attachment.policy
    make_proxy = loop_proxy if _is_looped(attachment) else udp_proxy
    proxy = make_proxy(name, idle_milliseconds=_milliseconds(policy.idle_timeout))
    proxy.use_per_packet_load_balancing = policy.per_packet
    if policy.algorithm is Algorithm.MAGLEV:
        proxy.hash_policies.append(udp_proxy_pb2.UdpProxyConfig.HashPolicy(source_ip=True))
    proxy.access_log.extend(_access_logs(name, attachment))
    return udp_listener(name, attachment.listener.port, addresses, proxy)


def _tcp_listener(name: str, attachment: Attachment, addresses: Sequence[str]) -> Any:
    policy, port = attachment.policy, attachment.listener.port
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=name, cluster=name)
    proxy.idle_timeout.FromMilliseconds(_milliseconds(policy.idle_timeout))
    if policy.max_duration is not None:
        proxy.max_downstream_connection_duration.FromMilliseconds(_milliseconds(policy.max_duration))
    if policy.algorithm is Algorithm.MAGLEV:
        proxy.hash_policy.add().source_ip.SetInParent()
    proxy.access_log.extend(_access_logs(name, attachment))
    tcp = listener_components_pb2.Filter(name="envoy.filters.network.tcp_proxy", typed_config=packed(proxy))
    listener = listener_pb2.Listener(name=name, address=tcp_address(addresses[0], port))
    for address in addresses[1:]:
        listener.additional_addresses.add().address.CopyFrom(tcp_address(address, port))
    listener.filter_chains.add().filters.append(tcp)
    return listener


def _cluster(name: str, protocol: TransportProtocol, policy: SessionPolicy) -> Any:
    cluster = eds_cluster(name)
    cluster.lb_policy = _ALGORITHMS[policy.algorithm]
    cluster.common_lb_config.healthy_panic_threshold.value = _PANIC_PERCENT
    # At once: Envoy would gather changes of health and weight for a second, and sessions would go to what is leaving.
    cluster.common_lb_config.update_merge_window.SetInParent()
    # The documents say which endpoints there are: one that they leave out is gone, however healthy.
    cluster.ignore_health_on_host_removal = True
    cluster.circuit_breakers.thresholds.append(_limits(policy.max_sessions))
    if policy.health_check is not None:
        cluster.health_checks.append(_health_check(policy.health_check))
        # As UDP sessions leave an endpoint that fails its probes; only of TCP does Envoy have to be told.
        cluster.close_connections_on_host_health_failure = protocol is TransportProtocol.TCP
    return cluster


def _limits(sessions: int) -> Any:
    """UDP sessions and TCP connections; a TCP connection is pending until its endpoint has answered."""
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds()
    thresholds.max_connections.value = sessions
    thresholds.max_pending_requests.value = sessions
    return thresholds


def _health_check(check: HealthCheck) -> Any:
    made = health_check_pb2.HealthCheck()
    made.timeout.FromMilliseconds(_milliseconds(check.timeout))
    made.interval.FromMilliseconds(_milliseconds(check.interval))
    # Envoy probes clusters without traffic once a minute unless told, and does not count UDP as traffic.
    made.no_traffic_interval.FromMilliseconds(_milliseconds(check.interval))
    made.healthy_threshold.value = check.healthy_threshold
    made.unhealthy_threshold.value = check.unhealthy_threshold
    if check.protocol is ProbeProtocol.HTTP:
        made.http_health_check.path = check.path
    else:
        made.tcp_health_check.SetInParent()
    return made


def _access_logs(name: str, attachment: Attachment) -> list[Any]:
    log = attachment.policy.access_log
    if log is None:
        return []
    return [access_log(log, name, str(attachment.route.name), attachment.listener.protocol)]


def _hosts(shares: Sequence[Share]) -> list[str]:
    return [endpoint.address for backend, _ in shares for endpoint in (*backend.endpoints, *backend.leaving)]


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
