"""Listeners of gateways become Envoy's listeners, clusters and assignments, and a change costs what changed."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import udp_proxy_pb2

from mesh.attachments import Attachment
from mesh.gateways import (
    AccessLog,
    Algorithm,
    Gateway,
    HealthCheck,
    Listener,
    ProbeProtocol,
    SessionPolicy,
    TransportProtocol,
    TransportRoute,
)
from mesh.model import Backend, Endpoint, Mesh, ObjectName, WeightedBackend
from tests.peers import second_opinion
from xds_server.compile.gateway_compiler import GatewayCompiler
from xds_server.compile.gateways import compile_attachment
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER

UDP, TCP = TransportProtocol.UDP, TransportProtocol.TCP
EDGE, GAME = ObjectName("default", "edge"), ObjectName("default", "game")
NAME = "gateway/default/edge/game"
CHECK = HealthCheck(
    protocol=ProbeProtocol.HTTP,
    port=80,
    path="/up",
    interval=2.0,
    timeout=0.5,
    healthy_threshold=2,
    unhealthy_threshold=4,
)


def attachment(
    protocol: TransportProtocol = UDP, *, addresses: tuple[str, ...] = (), listener: str = "game", **policy: Any
) -> Attachment:
    made = Listener(name=listener, protocol=protocol, port=7777)
    return Attachment(
        gateway=Gateway(name=EDGE, listeners=(made,), addresses=addresses),
        listener=made,
        route=TransportRoute(name=GAME, protocol=protocol, parents=(), backends=(WeightedBackend(backend=GAME),)),
        policy=SessionPolicy(**{"idle_timeout": 1.5, "max_sessions": 10, **policy}),
    )


def backend(*addresses: str) -> Backend:
    return Backend(name=GAME, endpoints=tuple(Endpoint(name=item, address=item, port=7000) for item in addresses))


def made(wanted: Attachment, *addresses: str) -> dict[str, Any]:
    shares = [(backend(*(addresses or ("192.0.2.1",))), 1)]
    messages = compile_attachment(wanted, shares, ("127.0.0.1",))
    return {message.DESCRIPTOR.name: message for message in messages}


def udp_proxy(wanted: Attachment) -> Any:
    proxy = udp_proxy_pb2.UdpProxyConfig()
    assert made(wanted)["Listener"].listener_filters[0].typed_config.Unpack(proxy)
    return proxy


def tcp_proxy(wanted: Attachment) -> Any:
    proxy = tcp_proxy_pb2.TcpProxy()
    assert made(wanted)["Listener"].filter_chains[0].filters[0].typed_config.Unpack(proxy)
    return proxy


@pytest.mark.parametrize("protocol", TransportProtocol)
def test_a_listener_its_cluster_and_its_assignment_have_one_name(protocol: TransportProtocol) -> None:
    found = made(attachment(protocol))
    assert found["Cluster"].name == found["Listener"].name == found["ClusterLoadAssignment"].cluster_name == NAME


@pytest.mark.parametrize("protocol", TransportProtocol)
@pytest.mark.parametrize(("addresses", "expected"), [((), ["127.0.0.1"]), (("0.0.0.0", "::"), ["0.0.0.0", "::"])])
def test_a_listener_is_on_the_addresses_of_its_gateway(
    protocol: TransportProtocol, addresses: tuple[str, ...], expected: list[str]
) -> None:
    listener = made(attachment(protocol, addresses=addresses))["Listener"]
    found = [listener.address, *(item.address for item in listener.additional_addresses)]
    assert [item.socket_address.address for item in found] == expected
    assert {item.socket_address.port_value for item in found} == {7777}
    assert {item.socket_address.protocol for item in found} == {int(protocol is UDP)}


def test_udp_takes_large_and_joined_datagrams() -> None:
    config = made(attachment())["Listener"].udp_listener_config.downstream_socket_config
    assert (config.max_rx_datagram_size.value, config.prefer_gro.value) == (9000, True)
    assert udp_proxy(attachment()).upstream_socket_config.max_rx_datagram_size.value == 9000


def test_timers_and_balancing_by_packet_are_the_listeners() -> None:
    proxy = udp_proxy(attachment(per_packet=True))
    assert (proxy.idle_timeout.ToMilliseconds(), proxy.use_per_packet_load_balancing) == (1500, True)
    proxy = tcp_proxy(attachment(TCP, max_duration=60.0))
    assert proxy.idle_timeout.ToMilliseconds() == 1500
    assert proxy.max_downstream_connection_duration.seconds == 60
    assert not tcp_proxy(attachment(TCP)).HasField("max_downstream_connection_duration")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_maglev_hashes_the_clients_address_and_nothing_else_does(algorithm: Algorithm) -> None:
    udp, tcp = attachment(algorithm=algorithm), attachment(TCP, algorithm=algorithm)
    assert [policy.source_ip for policy in udp_proxy(udp).hash_policies] == [True] * (algorithm is Algorithm.MAGLEV)
    assert [policy.HasField("source_ip") for policy in tcp_proxy(tcp).hash_policy] == [True] * (
        algorithm is Algorithm.MAGLEV
    )
    cluster = made(udp)["Cluster"]
    assert cluster.LbPolicy.Name(cluster.lb_policy) == algorithm.name


def test_limits_are_the_clusters() -> None:
    (thresholds,) = made(attachment())["Cluster"].circuit_breakers.thresholds
    assert (thresholds.max_connections.value, thresholds.max_pending_requests.value) == (10, 10)


def test_changes_of_health_and_endpoints_act_at_once_and_for_good() -> None:
    cluster = made(attachment())["Cluster"]
    assert cluster.common_lb_config.HasField("update_merge_window")
    assert cluster.common_lb_config.update_merge_window.ToMilliseconds() == 0
    assert cluster.common_lb_config.healthy_panic_threshold.value == 1
    assert cluster.ignore_health_on_host_removal


@pytest.mark.parametrize("protocol", TransportProtocol)
def test_tcp_connections_end_when_their_endpoint_fails_its_probes(protocol: TransportProtocol) -> None:
    cluster = made(attachment(protocol, health_check=CHECK))["Cluster"]
    assert cluster.close_connections_on_host_health_failure is (protocol is TCP)


def test_probes_go_on_without_traffic() -> None:
    (check,) = made(attachment(health_check=CHECK))["Cluster"].health_checks
    assert check.http_health_check.path == "/up"
    assert (check.interval.ToMilliseconds(), check.no_traffic_interval.ToMilliseconds()) == (2000, 2000)
    assert (check.timeout.ToMilliseconds(), check.healthy_threshold.value, check.unhealthy_threshold.value) == (
        500,
        2,
        4,
    )
    (check,) = made(attachment(health_check=replace(CHECK, protocol=ProbeProtocol.TCP)))["Cluster"].health_checks
    assert check.HasField("tcp_health_check")


@pytest.mark.parametrize(
    ("log", "kind"), [(AccessLog(), "StdoutAccessLog"), (AccessLog(path="/var/log/games"), "FileAccessLog")]
)
def test_a_log_goes_where_the_policy_says(log: AccessLog, kind: str) -> None:
    (udp,), (tcp,) = (
        udp_proxy(attachment(access_log=log)).access_log,
        tcp_proxy(attachment(TCP, access_log=log)).access_log,
    )
    assert udp.typed_config.type_url.endswith(kind)
    assert tcp.typed_config.type_url.endswith(kind)
    assert udp.HasField("filter")
    assert not tcp.HasField("filter")


def test_host_names_travel_in_the_cluster() -> None:
    found = made(attachment(), "game.example.com", "192.0.2.1")
    assert set(found) == {"Cluster", "Listener"}
    assert found["Cluster"].type == found["Cluster"].STRICT_DNS
    assert found["Cluster"].dns_lookup_family == found["Cluster"].V4_PREFERRED
    assert len(found["Cluster"].load_assignment.endpoints[0].lb_endpoints) == 2
    assert not found["Cluster"].HasField("eds_cluster_config")


def test_another_implementation_reads_the_same() -> None:
    found = made(attachment(algorithm=Algorithm.MAGLEV, health_check=CHECK, access_log=AccessLog()))
    listener = second_opinion.Listener.parse(found["Listener"].SerializeToString())
    proxy = second_opinion.UdpProxyConfig.parse(listener.listener_filters[0].typed_config.value)
    assert (listener.name, proxy.stat_prefix, proxy.hash_policies[0].source_ip) == (NAME, NAME, True)
    cluster = second_opinion.Cluster.parse(found["Cluster"].SerializeToString())
    assert (cluster.name, cluster.lb_policy.name, cluster.health_checks[0].http_health_check.path) == (
        NAME,
        "MAGLEV",
        "/up",
    )


def mesh(*attachments: Attachment, addresses: tuple[str, ...] = ("192.0.2.1",)) -> Mesh:
    return Mesh(backends={GAME: backend(*addresses)}, attachments=attachments)


def test_an_equal_mesh_changes_nothing() -> None:
    compiler = GatewayCompiler(("127.0.0.1",))
    assert compiler.compile(mesh(attachment()))
    assert compiler.compile(mesh(attachment())) == []


def test_a_change_of_endpoints_changes_the_assignment_alone() -> None:
    compiler = GatewayCompiler(("127.0.0.1",))
    (before,) = compiler.compile(mesh(attachment(), attachment(listener="other")))[:1]
    changes = compiler.compile(mesh(attachment(), addresses=("192.0.2.2",)))
    assert [(change.gateway, len(change.upsert), len(change.remove)) for change in changes] == [
        (EDGE, 0, 3),
        (EDGE, 3, 0),
    ]
    versions = {(item.type_url, item.name): item.version for item in before.upsert}
    changed = [item.type_url for item in changes[1].upsert if versions[item.type_url, item.name] != item.version]
    assert changed == [ENDPOINT.type_url]


def test_what_is_no_longer_made_is_removed() -> None:
    compiler = GatewayCompiler(("127.0.0.1",))
    compiler.compile(mesh(attachment()))
    (change,) = compiler.compile(mesh(attachment(), addresses=("game.example.com",)))
    assert change.remove == [(ENDPOINT.type_url, NAME)]
    (change,) = compiler.compile(mesh(addresses=("game.example.com",)))
    assert change.remove == [(CLUSTER.type_url, NAME), (LISTENER.type_url, NAME)]
    assert list(compiler.resources(EDGE)) == []
