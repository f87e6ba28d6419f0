"""Metrics for Prometheus: the state of the control plane at the time of the scrape, in a registry of its own.

Nothing is kept here, so a metric can neither drift from what the API says nor cost anything between two scrapes. What
is counted, xDS streams count themselves. A scrape costs what proxies have that differs from what they should have, and
nothing for each resource of one that is up to date.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from api import endpoints, gateways, models, views
from mesh.gateways import TransportProtocol
from xds_server.compile.users import secret_name
from xds_server.control_plane import ControlPlane
from xds_server.relays.relay import RelayState
from xds_server.relays.slots import SlotState
from xds_server.resource_types import RESOURCE_TYPES, resource_type
from xds_server.subscription import Fault, Traffic

Labels = TypeVar("Labels", bound=tuple[str, ...])
# A value of each label of a metric, and the metric's value.
Sample = tuple[tuple[str, ...], float]
# What is counted of backends: fields of Totals, with name and meaning.
_TOTALS = {
    "setups": ("msm_setups", "DESCRIBE, ANNOUNCE and first SETUP that cameras were asked."),
    "failed_setups": ("msm_setups_failed", "Those that were not answered, or with 453 or a status from 500 on."),
    "refused_setups": ("msm_setups_refused", "Those that were answered with another of the 400s than 401, 407 or 461."),
    "refused": ("msm_sessions_without_endpoint", "Sessions that found no endpoint."),
    "opened_connections": ("msm_upstream_connections_opened", "Connections to cameras that were opened."),
    "keepalives": ("msm_upstream_keepalives", "Requests that only keep cameras' sessions alive."),
    "failed_keepalives": ("msm_upstream_keepalives_failed", "Those that were not answered, or for no session."),
    "frames_dropped": ("msm_frames_dropped", "Interleaved frames that players did not take in time."),
    "packets": ("msm_sampled_packets", "RTP packets that sessions which nobody watches should have had."),
    "lost_packets": ("msm_sampled_packets_lost", "Those of them that did not arrive."),
}


def registry_of(plane: ControlPlane, version: str) -> CollectorRegistry:
    """A registry with the metrics of `plane` and nothing else. `version` is this software's."""
    registry = CollectorRegistry()
    registry.register(MeshCollector(plane, version))
    return registry


class MeshCollector(Collector):
    """Reads the control plane when it is scraped."""

    def __init__(self, plane: ControlPlane, version: str) -> None:
        self._plane = plane
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        yield InfoMetricFamily("msm_build", "The software that answers.", value={"version": self._version})
        yield _gauge("msm_ready", "1 when a session would work now, 0 otherwise.", not self._plane.not_ready())
        yield from self._mesh()
        yield from self._gateways()
        yield from self._endpoints()
        yield self._wrong_passwords()
        yield from self._canaries()
        yield from self._traffic()
        yield from self._media()
        yield from self._slots()
        yield from self._proxies()
        yield from self._exchanges()
        yield from self._unanswered()
        yield from self._resources()

    def _mesh(self) -> Iterator[Metric]:
        plane = self._plane
        yield _gauge("msm_routes", "RTSPRoutes in the mesh.", len(plane.mesh.routes))
        yield _gauge("msm_backends", "Backends in the mesh.", len(plane.mesh.backends))
        failed = [((source.name,), float(bool(source.errors))) for source in views.sources(plane)]
        text = "1 when the latest change of a source was refused and its last good state stays, 0 otherwise."
        yield _labelled("msm_source_refused", text, ("source",), failed)

    def _gateways(self) -> Iterator[Metric]:
        mesh = self._plane.mesh
        routes = Counter(dict.fromkeys(((kind.value,) for kind in TransportProtocol), 0))
        routes.update((protocol.value,) for protocol, _ in mesh.transport_routes)
        text = "UDPRoutes and TCPRoutes in the mesh, by protocol."
        yield _labelled("msm_transport_routes", text, ("protocol",), _samples(routes))
        listeners = Counter({(kind.value, state): 0 for kind in TransportProtocol for state in ("routed", "closed")})
        routed = {(each.gateway.name, each.listener.name) for each in mesh.attachments}
        listeners.update(
            (listener.protocol.value, "routed" if (name, listener.name) in routed else "closed")
            for name, gateway in mesh.gateways.items()
            for listener in gateway.listeners
        )
        text = "Listeners of gateways: routed, or closed because they have no route."
        yield _labelled("msm_gateway_listeners", text, ("protocol", "state"), _samples(listeners))
        refused = [((node_id,), float(count)) for node_id, count in gateways.refusals(self._plane).items()]
        text = "Listeners of gateways that a proxy refused; GET /v1/gateways has its words."
        yield _labelled("msm_gateway_listeners_refused", text, ("proxy",), refused)

    def _endpoints(self) -> Iterator[Metric]:
        """By backend: endpoints may be ten thousand."""
        reports, now = self._plane.measured.reports, time.time()
        states: Counter[tuple[str, str]] = Counter()
        connections: Counter[tuple[str]] = Counter()
        for key, reported in reports.endpoints():
            for each in reported:
                states[key.cluster, endpoints.state_of(each.status, now).value] += 1
                connections[(key.cluster,)] += each.status.connections
        text = "Endpoints of backends, as each RTSP proxy that has dealt with them sees them."
        yield _labelled("msm_endpoints", text, ("backend", "state"), _samples(states))
        text = "RTSP proxies' open connections to cameras."
        yield _labelled("msm_upstream_connections", text, ("backend",), _samples(connections))
        for field, (name, text) in _TOTALS.items():
            family = CounterMetricFamily(name, text, labels=("backend",))
            for backend, totals in sorted(reports.totals.items()):
                family.add_metric((backend,), getattr(totals, field))
            yield family

    def _wrong_passwords(self) -> Metric:
        """By AuthenticationFilter: who guesses names of users must not make time series."""
        counts = self._plane.measured.reports.wrong_passwords
        text = "Wrong passwords, and names of users that there are not."
        family = CounterMetricFamily("msm_wrong_passwords", text, labels=("users",))
        for users in sorted(self._plane.mesh.users):
            family.add_metric((str(users),), counts[secret_name(users)])
        return family

    def _canaries(self) -> Iterator[Metric]:
        shares = [
            ((str(route), str(rollout.canary.backend)), rollout.step.percent / 100)
            for route, rollout in sorted(self._plane.measured.canaries.rollouts.items())
        ]
        text = "A canary's share of its route's sessions, from 0 to 1."
        yield _labelled("msm_canary_share", text, ("route", "backend"), shares)

    def _traffic(self) -> Iterator[Metric]:
        sessions = Counter((item.transport, item.state) for item in views.sessions(self._plane))
        for transport in set(models.SessionTransport) - {models.SessionTransport.UNKNOWN}:
            for state in (models.SessionState.READY, models.SessionState.PLAYING):
                sessions.setdefault((transport, state), 0)
        yield _labelled("msm_sessions", "RTSP sessions of players.", ("transport", "state"), _samples(sessions))
        relays = Counter(dict.fromkeys(RelayState, 0))
        relays.update(relay.state for relay in self._plane.media.registry.relays.values())
        by_state = [((state.value,), float(count)) for state, count in relays.items()]
        yield _labelled("msm_relays", "Relays, each one track of a session over UDP.", ("state",), by_state)

    def _media(self) -> Iterator[Metric]:
        """As the media proxy counts it: no labels but those whose values are known here."""
        activity = self._plane.node.reports.activity
        counts = [((kind.value,), float(count)) for kind, count in activity.counts(time.monotonic()).items()]
        text = "Relays by what their media does; silent ones should play, and nothing comes from their senders."
        yield _labelled("msm_relays_activity", text, ("activity",), counts)
        total = activity.total
        packets = CounterMetricFamily(
            "msm_media_packets", "Packets of RTP from senders, and to receivers.", labels=("direction",)
        )
        packets.add_metric(("received",), total.received)
        packets.add_metric(("sent",), total.sent)
        yield packets
        text = "Bytes of RTP to receivers."
        yield CounterMetricFamily("msm_media_sent_bytes", text, value=total.sent_bytes)
        text = "Packets of RTCP that came from receivers."
        yield CounterMetricFamily("msm_receiver_packets", text, value=total.heard)

    def _slots(self) -> Iterator[Metric]:
        pool = self._plane.media.registry.pool
        by_state = [((state.value,), float(pool.count(state))) for state in SlotState]
        yield _labelled("msm_slots", "Warm media slots by state.", ("state",), by_state)
        yield _gauge("msm_slots_capacity", "Media slots that there may be, warm or not.", pool.capacity)

    def _proxies(self) -> Iterator[Metric]:
        plane = self._plane
        streams = Counter(dict.fromkeys(((kind,) for kind in models.ProxyKind), 0))
        streams.update((views.kind_of(proxy),) for proxy in plane.proxies.values())
        yield _labelled("msm_xds_streams", "Proxies' open xDS streams.", ("kind",), _samples(streams))
        yield _gauge("msm_relay_streams", "RTSP proxies' open relay streams.", len(plane.relays.streams))

    def _exchanges(self) -> Iterator[Metric]:
        """What was exchanged on all xDS streams, those that have ended too."""
        total = Traffic()
        total.add(self._plane.discovery.traffic)
        for proxy in self._plane.proxies.values():
            total.add(proxy.traffic)
        for name, text, count in (
            ("msm_xds_requests", "xDS requests of proxies, answers among them.", total.requests),
            ("msm_xds_responses", "xDS responses sent.", total.responses),
            ("msm_xds_acks", "xDS responses that proxies accepted.", total.acks),
            ("msm_xds_nacks", "xDS responses that proxies refused.", total.nacks),
            ("msm_xds_throttled", "xDS requests that had to wait because they came too fast.", total.throttled),
            ("msm_xds_sent_bytes", "Bytes of xDS responses sent, without gRPC's framing.", total.bytes_sent),
        ):
            yield CounterMetricFamily(name, text, value=count)
        refused = CounterMetricFamily(
            "msm_xds_refused_streams", "xDS streams that were refused or ended, by gRPC status.", labels=("reason",)
        )
        for fault in Fault:
            refused.add_metric((fault.value.lower(),), self._plane.discovery.refused[fault])
        yield refused

    def _unanswered(self) -> Iterator[Metric]:
        plane = self._plane
        owing = sum(proxy.unanswered_since() is not None for proxy in plane.proxies.values())
        yield _gauge("msm_xds_unanswered_streams", "xDS streams with a response that has no answer yet.", owing)
        ages = [((name,), views.unanswered_for(of) or 0.0) for name, of in views.streams_by_node(plane).items()]
        text = "Age of the oldest xDS response that a proxy has not answered; 0 when there is none."
        yield _labelled("msm_xds_unanswered_seconds", text, ("proxy",), sorted(ages))

    def _resources(self) -> Iterator[Metric]:
        plane = self._plane
        caches = {
            models.ProxyKind.MEDIA: plane.media.cache,
            models.ProxyKind.GATEWAY: plane.caches.gateways,
            models.ProxyKind.RTSP: plane.routes,
        }
        held = [
            ((kind.value, row.short_name), float(len(cache.resources(row.type_url))))
            for kind, cache in caches.items()
            for row in RESOURCE_TYPES.values()
        ]
        text = "xDS resources that proxies of a kind should have."
        yield _labelled("msm_xds_resources", text, ("kind", "type"), held)
        states: Counter[tuple[str, str, str]] = Counter()
        for name, streams in views.streams_by_node(plane).items():
            for type_url, counts in views.counts_by_type(streams).items():
                for state, number in counts.items():
                    states[name, resource_type(type_url).short_name, state.value] += number
        text = "xDS resources of each proxy, by how far the proxy is with them."
        yield _labelled("msm_proxy_resources", text, ("proxy", "type", "state"), _samples(states))


def _samples(counts: Counter[Labels]) -> list[Sample]:
    return [(labels, float(count)) for labels, count in sorted(counts.items())]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _labelled(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
