"""The control plane: sources in, xDS and relays out. The one place where its parts meet.

Everything runs on one event loop and changes in plain calls, so what the REST API reads between two of them is always
consistent. Timers and streams are the only tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
import structlog

from mesh.model import Mesh, MeshError, Slice, merge
from mesh.wire import relay_pb2, relay_pb2_grpc
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.envoy.bootstrap import MEDIA_CLUSTER
from xds_server.gateway_ports import check_ports
from xds_server.measured import Measured
from xds_server.media import MediaSettings
from xds_server.media_node import MediaNode
from xds_server.readiness import RoutedProxies, missing
from xds_server.relay_plane import RelayPlane
from xds_server.relays.activity_service import ActivityService
from xds_server.relays.registry import SETTLE_TIME
from xds_server.relays.service import RelayService
from xds_server.repeats import Repeats
from xds_server.scope_caches import ScopeCaches
from xds_server.scopes import ScopeKind, scope_of
from xds_server.server import bind
from xds_server.sources.refusals import refusal_lines
from xds_server.status_discovery import StatusDiscovery
from xds_server.subscription import ConnectedProxy, Fault, Node, StreamError

# Streams end at once when the server stops: proxies reconnect and lose nothing.
_STOP_GRACE = 0.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneSettings:
    """`listen`: host:port of the gRPC server (port 0: any). `media_node`: the node id of the media proxy.

    `settle_time` is in seconds; 0 where no proxy can be older than this process. `sources` are the names of all sources
    there will be: until each has been heard from, proxies keep what they have.
    """

    listen: str
    media: MediaSettings
    media_node: str = "envoy"
    settle_time: float = SETTLE_TIME
    sources: frozenset[str] = frozenset()


class ControlPlane:
    """State and services of the control plane; `run` serves until cancelled.

    `listening` is set once `port` is known, `ready` while a session would work (`not_ready` says why not).
    """

    def __init__(self, settings: ControlPlaneSettings) -> None:
        self.settings = settings
        self.relays = RelayPlane(self)
        self.node = self.relays.node = MediaNode(
            settings.media,
            now=time.monotonic(),
            settle_time=settings.settle_time,
            sources_known=not settings.sources,
            tell=self.relays.send,
        )
        self.media = self.node.media
        self.caches = ScopeCaches(
            self.media.cache, default_addresses=settings.media.addresses, held=bool(settings.sources)
        )
        self.routes = self.caches.rtsp
        self.mesh = Mesh()
        self.measured = Measured()
        self.source_errors: dict[str, str] = {}
        self.sessions: Mapping[str, relay_pb2.Session] = self.node.handover.sessions
        self.session_owner: Mapping[str, str] = self.node.handover.owners
        self.proxies: dict[str, ConnectedProxy] = {}
        self.discovery = DiscoveryService(self._scope, self)
        self.port = 0
        self.listening = asyncio.Event()
        self.ready = asyncio.Event()
        self.slices: dict[str, Slice] = {}
        self.taken_at: dict[str, float] = {}  # when each source was last taken, in seconds since 1970
        self._routed = RoutedProxies()
        self._complaints = Repeats()
        self._wakes_at: float | None = None
        self._due_earlier = asyncio.Event()
        self._publish(Mesh())

    async def run(self) -> None:
        """Serve xDS and relays until cancelled."""
        server = grpc.aio.server(options=[*SERVER_OPTIONS, ("grpc.so_reuseport", 0)])
        self.discovery.add_to(server)
        StatusDiscovery(self.proxies.values, self._cache_of).add_to(server)
        relay_pb2_grpc.add_RelayServiceServicer_to_server(RelayService(self.relays), server)  # type: ignore[no-untyped-call]
        ActivityService(self.node.reports).add_to(server)
        self.port = bind(server, self.settings.listen)
        await server.start()
        self.listening.set()
        log.info("control plane listens", xds=self.settings.listen, port=self.port)
        try:
            await self._run_timers()
        finally:
            self.discovery.close()
            self.relays.stop()
            await server.stop(_STOP_GRACE)

    # Sources

    def set_slice(self, part: Slice) -> None:
        """A source replaces what it said before. What does not fit the others is refused; the last good mesh stays."""
        slices = {**self.slices, part.source: part}
        try:
            mesh = merge(slices.values())
            check_ports(mesh, self.settings.media)
        except MeshError as error:
            self.source_failed(part.source, str(error))
            return
        self.slices = slices
        self.taken_at[part.source] = time.time()
        self.source_errors.pop(part.source, None)
        self._publish(mesh)
        log.info(
            "routes taken",
            source=part.source,
            routes=len(part.routes) + len(part.transport_routes),
            backends=len(part.backends),
        )
        if self.settings.sources <= slices.keys():
            self.caches.release()
            self.media.sources_heard()

    def source_failed(self, source: str, message: str) -> None:
        """A source has something that it cannot use; what it said before stands. `message` has a line a problem."""
        self.source_errors[source] = message
        for line in refusal_lines(message):
            log.error("a change was refused; the last good state stays", source=source, error=line)

    def _publish(self, mesh: Mesh) -> None:
        self.measured.said(mesh)
        self._follow_measured(changed=True)

    def _follow_measured(self, *, changed: bool) -> None:
        if changed:
            self.mesh = self.measured.mesh
            self.caches.publish(self.mesh)
        self._check_timer()

    # Inspection

    def not_ready(self) -> Sequence[str]:
        """Why a session would not work now; empty when one would."""
        return missing(self.media, accepting=self.node.handover.accepting, routed=self._routed.nodes)

    def end_session(self, session_id: str, reason: str) -> bool:
        """Ask the owner of a session to end it; False when there is no such session. One that waits for a proxy to go
        on with it ends here."""
        if self.node.release(session_id, time.monotonic()):
            log.info("session ended", session=session_id, reason=reason)
            self.relays_changed()
            return True
        owner = self.session_owner.get(session_id, "")
        if session_id not in self.sessions or owner not in self.relays.streams:
            return False
        ended = relay_pb2.EndSession(session_id=session_id, reason=reason)
        self.relays.send(owner, relay_pb2.ControlMessage(end_session=ended))
        return True

    # xDS (StreamObserver)

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        """A proxy opened an xDS stream."""
        self.proxies[proxy.id] = proxy
        log.info("proxy connected", proxy=proxy.node.id, cluster=proxy.node.cluster, peer=proxy.peer)
        if proxy.node.cluster == MEDIA_CLUSTER:
            self.node.connected(proxy, time.monotonic())
            self.relays_changed()
        self._warn_of_no_gateway(proxy.node)
        self._judge_readiness()

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        """A proxy's xDS stream ended."""
        self.proxies.pop(proxy.id, None)
        self._routed.gone(proxy)
        log.info("proxy disconnected", proxy=proxy.node.id, cluster=proxy.node.cluster)
        if proxy is self.node.stream:
            self.node.disconnected()
            self.relays_changed()
        self._judge_readiness()

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        """A proxy has these versions now."""
        if proxy is self.node.stream:
            self.node.acknowledged(type_url, versions, time.monotonic())
            self.relays_changed()
        self._check_routed(proxy)

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        """A proxy refused resources."""
        log.error("proxy refused resources", proxy=proxy.node.id, type=type_url, names=names[:10], error=message)
        if proxy is self.node.stream:
            self.node.rejected(type_url, names, message, time.monotonic())
            self.relays_changed()
        self._check_routed(proxy)

    def _check_routed(self, proxy: ConnectedProxy) -> None:
        if self._routed.answered(proxy, self.routes):
            self._judge_readiness()

    def _scope(self, node: Node) -> ResourceCache | None:
        scope = scope_of(node, media_node=self.settings.media_node)
        if scope is not None and scope.kind is ScopeKind.MEDIA:
            self._check_media_node(node)
        return self._cache_of(node)

    def _cache_of(self, node: Node) -> ResourceCache | None:
        """What a connected node is served from."""
        scope = scope_of(node, media_node=self.settings.media_node)
        return None if scope is None else self.caches.cache_of(scope)

    def _warn_of_no_gateway(self, node: Node) -> None:
        """Say so when a proxy waits for a Gateway that no source has, once all have been heard."""
        scope = scope_of(node, media_node=self.settings.media_node)
        gateway = None if scope is None else scope.gateway
        if gateway is not None and gateway not in self.mesh.gateways and self.settings.sources <= self.slices.keys():
            log.warning("a proxy is for a Gateway that is not there", proxy=node.id, gateway=str(gateway))

    def _check_media_node(self, node: Node) -> None:
        """Raises StreamError when another media proxy has this node id."""
        reason = self.node.refusal(node)
        if reason is not None:
            self.complain(reason, node.id)
            raise StreamError(Fault.ALREADY_EXISTS, reason)

    # Relays (RelayObserver)

    def relays_changed(self) -> None:
        """Relays, sessions, or who has them."""
        self._check_timer()
        if not self.ready.is_set():  # relays that open and close do not end it
            self._judge_readiness()

    def proxies_changed(self) -> None:
        """An RTSP proxy has gone, or is about to."""
        self._judge_readiness()

    def endpoints_forgotten(self, proxy: str) -> None:
        """What an RTSP proxy has measured is void."""
        self.measured.reports.forget(proxy)

    def endpoints_reported(self, proxy: str, report: relay_pb2.EndpointReport) -> None:
        """An RTSP proxy says what it measures of endpoints."""
        self._follow_measured(changed=self.measured.reported(proxy, report))

    def complain(self, reason: str, proxy: str) -> None:
        """Who is refused tries again every second: that is told now and then."""
        if self._complaints.fresh(reason, time.monotonic()):
            log.error("a proxy was refused: its name is taken", proxy=proxy, reason=reason)

    def _judge_readiness(self) -> None:
        if self.not_ready():
            self.ready.clear()
        else:
            self.ready.set()

    def _check_timer(self) -> None:
        """Wake the timer task when something is due before it wakes by itself; waking it for nothing costs more."""
        due = self._next_timer()
        if due is not None and (self._wakes_at is None or due < self._wakes_at):
            self._due_earlier.set()

    def _next_timer(self) -> float | None:
        canaries = self.measured.canaries
        timers = (self.node.next_timer(), canaries.next_timer())
        return min((due for due in timers if due is not None), default=None)

    async def _run_timers(self) -> None:
        while True:
            self._due_earlier.clear()
            self._wakes_at = self._next_timer()
            wait = None if self._wakes_at is None else max(0.0, self._wakes_at - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self._due_earlier.wait()
            except TimeoutError:
                self.node.tick(time.monotonic())
                self.relays_changed()
                self._follow_measured(changed=self.measured.tick())
