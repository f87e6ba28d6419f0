"""Weighted backends → one ClusterLoadAssignment: a share for each endpoint, and what becomes of those that leave.

udp_proxy knows no weighted clusters, so a route's backends share one cluster: each endpoint has its backend's weight
divided by the number of the backend's endpoints. A change of endpoints or weights then changes the assignment alone,
and sessions of endpoints that stay are left in peace.

An endpoint that leaves keeps its sessions while it is in the assignment as DEGRADED: new sessions go to healthy ones.
What Envoy does (measured, 1.40): sessions of an endpoint that is gone end at once, those of an UNHEALTHY one move with
the client's next datagram, those of a DEGRADED one stay. TCP connections stay in any case.

Envoy API: config.endpoint.v3.ClusterLoadAssignment, LbEndpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from mesh.gateways import HealthCheck, OnBackendChange, SessionPolicy, TransportProtocol
from mesh.model import Backend, Endpoint
from xds_server.compile.envoy_parts import tcp_address, udp_address

# Percent. Envoy sends new sessions to DEGRADED endpoints as soon as less than all load fits on the healthy ones, times
# this; so one healthy endpoint out of ten thousand is enough.
_OVERPROVISIONING_FACTOR = 1_000_000
# The weights of an assignment must add up to less than 2^32; half of that leaves room for rounding up to 1.
_MAX_TOTAL_WEIGHT = 2**31

Share = tuple[Backend, int]
"""A backend and its weight."""

_Place = tuple[str, int]


def assignment(name: str, shares: Sequence[Share], protocol: TransportProtocol, policy: SessionPolicy) -> Any:
    """The ClusterLoadAssignment of a listener's backends."""
    active, leaving = _endpoints(shares)
    made = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    made.policy.overprovisioning_factor.value = _OVERPROVISIONING_FACTOR
    weights = integer_weights([share for _, share in active.values()])
    lb_endpoints = [
        _lb_endpoint(endpoint, protocol, policy.health_check, weight=weight)
        for (endpoint, _), weight in zip(active.values(), weights, strict=True)
    ]
    if policy.on_backend_change is OnBackendChange.STICK:
        lb_endpoints += [
            _lb_endpoint(endpoint, protocol, policy.health_check, weight=1, status=health_check_pb2.DEGRADED)
            for endpoint in leaving
        ]
    if lb_endpoints:
        made.endpoints.add().lb_endpoints.extend(lb_endpoints)
    return made


def integer_weights(shares: Sequence[Fraction]) -> list[int]:
    """Whole numbers, at least 1, in the proportions of `shares`: exact unless they would be too large for Envoy."""
    if not shares:
        return []
    scale = lcm(*(share.denominator for share in shares))
    exact = [int(share * scale) for share in shares]
    divisor = gcd(*exact)
    numbers = [number // divisor for number in exact]
    total = sum(numbers)
    if total <= _MAX_TOTAL_WEIGHT:
        return numbers
    return [max(1, number * _MAX_TOTAL_WEIGHT // total) for number in numbers]


def _endpoints(shares: Sequence[Share]) -> tuple[dict[_Place, tuple[Endpoint, Fraction]], list[Endpoint]]:
    """Endpoints for new sessions with their shares, and those that only keep what they have.

    Where none is left for new sessions, those that leave take them: better than none.
    """
    active: dict[_Place, tuple[Endpoint, Fraction]] = {}
    for backend, weight in shares:
        if weight:
            _add(active, backend.endpoints, Fraction(weight, max(1, len(backend.endpoints))))
    leaving: dict[_Place, tuple[Endpoint, Fraction]] = {}
    for backend, weight in shares:
        left = backend.leaving if weight else (*backend.endpoints, *backend.leaving)
        _add(leaving, left, Fraction(1))
    if not active:
        return leaving, []
    return active, [endpoint for place, (endpoint, _) in leaving.items() if place not in active]


def _add(known: dict[_Place, tuple[Endpoint, Fraction]], endpoints: Iterable[Endpoint], share: Fraction) -> None:
    """Add endpoints; one that is there already, by another backend, has both shares."""
    for endpoint in endpoints:
        place = (endpoint.address, endpoint.port)
        before = known[place][1] if place in known else Fraction(0)
        known[place] = (endpoint, before + share)


def _lb_endpoint(
    endpoint: Endpoint,
    protocol: TransportProtocol,
    check: HealthCheck | None,
    *,
    weight: int,
    status: Any = health_check_pb2.UNKNOWN,
) -> Any:
    address = udp_address if protocol is TransportProtocol.UDP else tcp_address
    made = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address(endpoint.address, endpoint.port)),
        health_status=status,
    )
    made.load_balancing_weight.value = weight
    if check is not None:
        made.endpoint.health_check_config.hostname = endpoint.address
        made.endpoint.health_check_config.port_value = check.port or endpoint.port
    return made
