"""How sessions are treated where no policy says otherwise, and what cannot be had.

UDP says neither when a session begins nor when it ends, so timers must guess. The guesses and their reasons are here;
every one of them is a field of MediaPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.gateways import (
    Algorithm,
    OnBackendChange,
    PolicySettings,
    ProbeProtocol,
    SessionPolicy,
    TransportProtocol,
    TransportRoute,
)

# What address translators must keep a silent UDP flow for (RFC 4787, REQ-5), so applications that work at home work
# here. Longer than the silence of anything that lives: games and SRT (a keep-alive a second) and RTP (RTCP every 5 s)
# speak all the time, QUIC gives up after 30 s as a rule and pings before.
UDP_IDLE_SECONDS = 120.0
# TCP says itself when it ends; this is for peers that vanished.
TCP_IDLE_SECONDS = 3600.0
# Each UDP session has an upstream socket with a port of its own, of which Linux gives an address 28,000: one route
# cannot take them all. Envoy's own limit of 1,024 would be a surprise.
MAX_SESSIONS = 16_384

_DEFAULTS = {
    TransportProtocol.UDP: {"idle_timeout": UDP_IDLE_SECONDS, "max_sessions": MAX_SESSIONS},
    TransportProtocol.TCP: {"idle_timeout": TCP_IDLE_SECONDS, "max_sessions": MAX_SESSIONS},
}

Misfit = tuple[str, tuple[str, ...], str]
"""The setting at fault, its place in the document, and one sentence."""


def effective(protocol: TransportProtocol, settings: PolicySettings) -> SessionPolicy:
    """What applies to sessions of a protocol: what `settings` say, and the defaults."""
    said = {name: getattr(settings, name) for name in PolicySettings.__slots__}
    values: dict[str, Any] = {**_DEFAULTS[protocol], **{key: value for key, value in said.items() if value is not None}}
    return SessionPolicy(**values)


def unfit(policy: SessionPolicy, route: TransportRoute) -> Iterator[Misfit]:
    """What stock Envoy (1.40) cannot do for the sessions of `route`."""
    if route.protocol is TransportProtocol.UDP:
        yield from _unfit_for_udp(policy)
    else:
        yield from _unfit_for_tcp(policy)
    if policy.health_check is not None and policy.health_check.protocol is ProbeProtocol.RTSP:
        message = "RTSP is asked of servers of RTSPRoutes; here it is TCP or HTTP"
        yield "health_check", ("spec", "healthCheck", "type"), message
    if policy.on_backend_failure is not None:
        message = "Envoy does not see whether the server of a session has failed; it is for RTSP"
        yield "on_backend_failure", ("spec", "session", "onBackendFailure"), message
    if policy.media_source is not None:
        message = "a gateway serves whoever sends; it is for RTSP, which tells where media comes from"
        yield "media_source", ("spec", "session", "mediaSource"), message
    if policy.ejection is not None:
        message = "Envoy does not see whether sessions of a gateway fail; use a healthCheck"
        yield "ejection", ("spec", "ejection"), message
    if policy.canary is not None:
        message = "nobody measures how sessions of a gateway do; a canary is for an RTSPRoute"
        yield "canary", ("spec", "canary"), message
    shares = sum(backend.weight > 0 for backend in route.backends)
    if policy.algorithm is Algorithm.RANDOM and shares > 1:
        message = "Random knows no weights, and the route has several backends; RoundRobin keeps their shares"
        yield "algorithm", ("spec", "balancing", "algorithm"), message


def _unfit_for_tcp(policy: SessionPolicy) -> Iterator[Misfit]:
    if policy.per_packet:
        yield "per_packet", ("spec", "balancing", "perPacket"), "TCP is a stream; only UDP can be balanced by packet"
    if policy.on_backend_change is OnBackendChange.MOVE:
        message = "a connection cannot go on at another endpoint, and Envoy ends none because its endpoint leaves"
        yield "on_backend_change", ("spec", "session", "onBackendChange"), message


def _unfit_for_udp(policy: SessionPolicy) -> Iterator[Misfit]:
    if policy.max_duration is not None:
        yield from _unfit_with_maximum(policy)
    if policy.health_check is not None and policy.health_check.port is None:
        message = "UDP cannot be probed; name a TCP port of the endpoints that tells how they are"
        yield "health_check", ("spec", "healthCheck", "port"), message
    if policy.algorithm is Algorithm.LEAST_REQUEST:
        message = "Envoy does not count UDP sessions of an endpoint, so it cannot prefer the one with the fewest"
        yield "algorithm", ("spec", "balancing", "algorithm"), message
    if policy.per_packet and policy.algorithm is Algorithm.MAGLEV:
        message = "Maglev keeps a client at one backend, and balancing by packet spreads it over all: choose one"
        yield "per_packet", ("spec", "balancing", "perPacket"), message
    if policy.per_packet and policy.on_backend_change is OnBackendChange.STICK:
        message = "balanced by packet, nothing sticks"
        yield "on_backend_change", ("spec", "session", "onBackendChange"), message


def _unfit_with_maximum(policy: SessionPolicy) -> Iterator[Misfit]:
    """UDP sessions with a maximum time take another way through Envoy, which leaves them where they are."""
    if policy.on_backend_change is OnBackendChange.MOVE:
        message = "with maxDuration sessions of UDP stay at their endpoint until they end: Stick"
        yield "on_backend_change", ("spec", "session", "onBackendChange"), message
    if policy.per_packet:
        message = "with maxDuration sessions of UDP cannot be balanced by packet"
        yield "per_packet", ("spec", "balancing", "perPacket"), message
