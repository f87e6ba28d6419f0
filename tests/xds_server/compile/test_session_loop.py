"""UDP sessions with a maximum time take a detour through HTTP, others do not."""

from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2

from mesh.attachments import Attachment
from mesh.gateways import Algorithm, Gateway, Listener, SessionPolicy, TransportProtocol, TransportRoute
from mesh.model import Backend, Endpoint, ObjectName, WeightedBackend
from xds_server.compile.gateways import compile_attachment

EDGE, GAME = ObjectName("default", "edge"), ObjectName("default", "game")
NAME = "gateway/default/edge/game"


def made(*, endpoints: int = 1, **policy: Any) -> dict[tuple[str, str], Any]:
    """Messages by kind and name."""
    listener = Listener(name="game", protocol=TransportProtocol.UDP, port=7777)
    shares = tuple(Endpoint(name=str(number), address="192.0.2.1", port=number + 1) for number in range(endpoints))
    attachment = Attachment(
        gateway=Gateway(name=EDGE, listeners=(listener,)),
        listener=listener,
        route=TransportRoute(
            name=GAME, protocol=TransportProtocol.UDP, parents=(), backends=(WeightedBackend(backend=GAME),)
        ),
        policy=SessionPolicy(**{"idle_timeout": 60.0, "max_sessions": 10, "max_duration": 1.5, **policy}),
    )
    messages = compile_attachment(attachment, [(Backend(name=GAME, endpoints=shares), 1)], ("127.0.0.1",))
    return {(each.DESCRIPTOR.name, getattr(each, "name", "") or each.cluster_name): each for each in messages}


def proxy(found: dict[tuple[str, str], Any]) -> Any:
    config = udp_proxy_pb2.UdpProxyConfig()
    assert found["Listener", NAME].listener_filters[0].typed_config.Unpack(config)
    return config


def http_route(found: dict[tuple[str, str], Any]) -> Any:
    manager = http_connection_manager_pb2.HttpConnectionManager()
    assert found["Listener", f"{NAME}/inner"].filter_chains[0].filters[0].typed_config.Unpack(manager)
    (route,) = manager.route_config.virtual_hosts[0].routes
    return route.route


def target(config: Any) -> str:
    route = route_pb2.Route()
    assert config.matcher.on_no_match.action.typed_config.Unpack(route)
    return str(route.cluster)


def test_a_session_is_a_stream_that_ends_after_its_time() -> None:
    found = made()
    config = proxy(found)
    assert (target(config), config.stat_prefix, config.HasField("tunneling_config")) == (f"{NAME}/loop", NAME, True)
    assert http_route(found).max_stream_duration.max_stream_duration.ToMilliseconds() == 1500
    assert (http_route(found).cluster, http_route(found).timeout.ToMilliseconds()) == (NAME, 0)


def test_without_a_maximum_there_is_no_detour() -> None:
    found = made(max_duration=None)
    assert set(found) == {("Listener", NAME), ("Cluster", NAME), ("ClusterLoadAssignment", NAME)}
    assert (target(proxy(found)), proxy(found).HasField("tunneling_config")) == (NAME, False)


def test_the_loop_admits_the_sessions_and_leads_to_the_inner_listener() -> None:
    found = made()
    (limits,) = found["Cluster", f"{NAME}/loop"].circuit_breakers.thresholds
    assert limits.max_connections.value == 10
    assert limits.max_requests.value > 1_000_000
    (locality,) = found["ClusterLoadAssignment", f"{NAME}/loop"].endpoints
    (endpoint,) = locality.lb_endpoints
    assert endpoint.endpoint.address.envoy_internal_address.server_listener_name == f"{NAME}/inner"


def test_without_endpoints_the_loop_is_closed() -> None:
    found = made(endpoints=0)
    assert not found["ClusterLoadAssignment", f"{NAME}/loop"].endpoints


@pytest.mark.parametrize("algorithm", [Algorithm.MAGLEV, Algorithm.ROUND_ROBIN])
def test_maglev_hashes_the_clients_address_which_the_stream_carries(algorithm: Algorithm) -> None:
    found = made(algorithm=algorithm)
    (header,) = proxy(found).tunneling_config.headers_to_add
    assert header.header.value == "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
    hashed = [policy.header.header_name for policy in http_route(found).hash_policy]
    assert hashed == [header.header.key] * (algorithm is Algorithm.MAGLEV)
