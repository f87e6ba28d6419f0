"""Weighted backends become one assignment: every endpoint has its share, and those that leave keep what they have."""

from fractions import Fraction
from typing import Any

import pytest
from envoy.config.core.v3 import health_check_pb2
from hypothesis import given
from hypothesis import strategies as st

from mesh.gateways import HealthCheck, OnBackendChange, ProbeProtocol, SessionPolicy, TransportProtocol
from mesh.model import Backend, Endpoint, ObjectName
from tests.peers.second_opinion import ClusterLoadAssignment
from xds_server.compile.assignments import Share, assignment, integer_weights

UDP, TCP = TransportProtocol.UDP, TransportProtocol.TCP
STICK, MOVE = OnBackendChange.STICK, OnBackendChange.MOVE


def policy(change: OnBackendChange = STICK, **more: Any) -> SessionPolicy:
    return SessionPolicy(idle_timeout=1.0, max_sessions=1, on_backend_change=change, **more)


def endpoints(*hosts: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(name=f"e{host}", address=f"192.0.2.{host}", port=7000) for host in hosts)


def backend(*hosts: int, leaving: tuple[int, ...] = ()) -> Backend:
    return Backend(name=ObjectName("default", "a"), endpoints=endpoints(*hosts), leaving=endpoints(*leaving))


def made(
    *shares: Share, protocol: TransportProtocol = UDP, change: OnBackendChange = STICK
) -> dict[int, tuple[int, str]]:
    """Weight and status of each endpoint, by the last number of its address."""
    found = assignment("x", shares, protocol, policy(change))
    return {
        int(item.endpoint.address.socket_address.address.rpartition(".")[2]): (
            item.load_balancing_weight.value,
            health_check_pb2.HealthStatus.Name(item.health_status),
        )
        for locality in found.endpoints
        for item in locality.lb_endpoints
    }


def test_the_weight_of_a_backend_is_divided_over_its_endpoints() -> None:
    found = made((backend(1), 1), (backend(2, 3, 4), 2))
    assert {host: weight for host, (weight, _) in found.items()} == {1: 3, 2: 2, 3: 2, 4: 2}


def test_an_endpoint_of_two_backends_is_there_once_with_both_shares() -> None:
    assert made((backend(1), 1), (backend(1, 2), 2)) == {1: (2, "UNKNOWN"), 2: (1, "UNKNOWN")}


@pytest.mark.parametrize(
    ("protocol", "change", "expected"),
    [(UDP, STICK, "DEGRADED"), (UDP, MOVE, None), (TCP, STICK, "DEGRADED")],
)
def test_what_leaves_keeps_its_sessions_by_policy(
    protocol: TransportProtocol, change: OnBackendChange, expected: str | None
) -> None:
    by_readiness = made((backend(1, leaving=(2,)), 1), protocol=protocol, change=change)
    by_weight = made((backend(1), 1), (backend(2), 0), protocol=protocol, change=change)
    assert by_readiness == by_weight
    assert by_readiness.get(2) == (None if expected is None else (1, expected))
    assert by_readiness[1] == (1, "UNKNOWN")


@pytest.mark.parametrize("change", OnBackendChange)
def test_when_all_leave_they_are_better_than_none(change: OnBackendChange) -> None:
    assert made((backend(), 1), (backend(2), 0), change=change) == {2: (1, "UNKNOWN")}


def test_an_endpoint_that_another_backend_gives_new_sessions_to_is_not_leaving() -> None:
    assert made((backend(1), 1), (backend(1), 0)) == {1: (1, "UNKNOWN")}


def test_no_endpoint_is_an_empty_assignment() -> None:
    assert made((backend(), 1)) == {}


def test_new_sessions_go_to_the_healthy_ones_however_few() -> None:
    found = assignment("x", [(backend(1), 1)], UDP, policy())
    assert found.policy.overprovisioning_factor.value >= 100 * 1000


@pytest.mark.parametrize(("port", "expected"), [(8080, 8080), (None, 7000)])
def test_probes_go_to_their_port(port: int | None, expected: int) -> None:
    check = HealthCheck(
        protocol=ProbeProtocol.HTTP,
        port=port,
        path="/",
        interval=1.0,
        timeout=1.0,
        healthy_threshold=1,
        unhealthy_threshold=1,
    )
    found = assignment("x", [(backend(1), 1)], TCP, policy(health_check=check))
    config = found.endpoints[0].lb_endpoints[0].endpoint.health_check_config
    assert (config.port_value, config.hostname) == (expected, "192.0.2.1")


def test_another_implementation_reads_the_same() -> None:
    sent = assignment("x", [(backend(1, leaving=(2,)), 3)], UDP, policy()).SerializeToString()
    read = ClusterLoadAssignment.parse(sent)
    one, two = read.endpoints[0].lb_endpoints
    assert (one.load_balancing_weight, one.health_status.name) == (1, "UNKNOWN")
    assert two.health_status.name == "DEGRADED"
    assert read.policy.overprovisioning_factor == 1_000_000


@given(st.lists(st.tuples(st.integers(1, 1_000_000), st.integers(1, 1000)), min_size=1, max_size=16))
def test_weights_are_whole_and_in_proportion(shares: list[tuple[int, int]]) -> None:
    """Each backend is (weight, endpoints); only what no 32 bits can hold is rounded, up to the least share."""
    fractions = [Fraction(weight, count) for weight, count in shares]
    weights = integer_weights(fractions)
    assert all(weight >= 1 for weight in weights)
    assert sum(weights) < 2**32
    total, wanted = sum(weights), sum(fractions)
    for weight, fraction in zip(weights, fractions, strict=True):
        assert abs(weight / total - fraction / wanted) < 1e-7
