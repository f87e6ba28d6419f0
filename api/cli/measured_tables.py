"""Tables of what is measured: endpoints, and the canaries that follow it."""

from __future__ import annotations

from collections import Counter

from api.canaries import Canary
from api.cli.output import Cell
from api.cli.tables import View
from api.endpoints import EndpointState, MeasuredEndpoint


def _state(endpoint: MeasuredEndpoint) -> str:
    """One word where all proxies agree."""
    states = Counter(report.state for report in endpoint.proxies)
    if len(states) == 1:
        return next(iter(states)).value
    return ", ".join(f"{states[state]} {state.value}" for state in EndpointState if states[state])


def _reason(endpoint: MeasuredEndpoint) -> str | None:
    return next((report.reason for report in endpoint.proxies if report.reason), None)


def _loss(endpoint: MeasuredEndpoint) -> Cell:
    return f"{100 * endpoint.lost_packets / endpoint.packets:.3g} %" if endpoint.packets else None


ENDPOINTS: View[MeasuredEndpoint] = View(
    columns={
        "backend": lambda endpoint: endpoint.backend,
        "endpoint": lambda endpoint: endpoint.name,
        "address": lambda endpoint: f"{endpoint.address}:{endpoint.port}{endpoint.path}",
        "state": _state,
        "sessions": lambda endpoint: endpoint.sessions,
        "set-ups": lambda endpoint: endpoint.setups,
        "failed": lambda endpoint: endpoint.failed_setups,
        "refused": lambda endpoint: endpoint.refused_setups,
        "lost": _loss,
        "jitter": lambda endpoint: f"{1000 * endpoint.jitter:.1f} ms" if endpoint.packets else None,
        "connections": lambda endpoint: endpoint.connections,
        "opened": lambda endpoint: endpoint.opened_connections,
        "keep-alives": lambda endpoint: endpoint.keepalives,
        "unanswered": lambda endpoint: endpoint.failed_keepalives,
        "dropped frames": lambda endpoint: endpoint.frames_dropped,
        "reason": _reason,
    },
    brief=("backend", "endpoint", "state", "sessions", "set-ups", "failed", "lost"),
    whole=frozenset({"state", "sessions", "set-ups", "failed"}),
    nothing="No RTSP proxy has dealt with a camera yet.",
)

CANARIES: View[Canary] = View(
    columns={
        "route": lambda canary: canary.route,
        "backend": lambda canary: canary.backend,
        "phase": lambda canary: canary.phase.value.replace("_", " "),
        "sessions": lambda canary: f"{canary.percent} %",
        "steps": lambda canary: ", ".join(map(str, canary.steps)),
        "set-ups": lambda canary: canary.measured.setups,
        "failed": lambda canary: canary.measured.failed_setups,
        "refused": lambda canary: canary.measured.refused_setups,
        "packets": lambda canary: canary.measured.packets,
        "lost": lambda canary: canary.measured.lost_packets,
        "waits for": lambda canary: canary.waits_for,
        "reason": lambda canary: canary.history[-1].reason if canary.history else None,
    },
    brief=("route", "backend", "phase", "sessions", "waits for", "reason"),
    whole=frozenset({"phase", "sessions"}),
    nothing="There are no canaries.",
)
