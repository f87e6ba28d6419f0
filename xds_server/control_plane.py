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
from xds_server.envoy.bootstrap import MEDIA_CLUSTER, media_proxy_of
from xds_server.gateway_ports import check_ports
from xds_server.media import MediaPlane, MediaSettings
from xds_server.readiness import knows_routes, missing
from xds_server.relays.registry import SETTLE_TIME, FailureReason, RelayMessage
from xds_server.relays.service import RelayService, RelayStream, control_message, failed, relay_of
from xds_server.repeats import Repeats
from xds_server.scope_caches import ScopeCaches
from xds_server.scopes import RTSP_CLUSTER, ScopeKind, scope_of
from xds_server.server import bind
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
        self.media = MediaPlane(
            settings.media,
            now=time.monotonic(),
            settle_time=settings.settle_time,
            sources_known=not settings.sources,
        )
        self.caches = ScopeCaches(
            self.media.cache, default_addresses=settings.media.addresses, held=bool(settings.sources)
        )
        self.routes = self.caches.rtsp
        self.mesh = Mesh()
        self.source_errors: dict[str, str] = {}
        self.sessions: dict[str, relay_pb2.Session] = {}
        self.session_owner: dict[str, str] = {}
        self.proxies: dict[str, ConnectedProxy] = {}
        self.relay_streams: dict[str, RelayStream] = {}
        self.discovery = DiscoveryService(self._scope, self)
        self.port = 0
        self.listening = asyncio.Event()
        self.ready = asyncio.Event()
        self.slices: dict[str, Slice] = {}
        self._media_stream: ConnectedProxy | None = None
        self._routed_streams: set[str] = set()  # of RTSP proxies that have acknowledged their routes
        self._complaints = Repeats()
        self._wakes_at: float | None = None
        self._due_earlier = asyncio.Event()
        self._stopping = False
        self._publish(Mesh())

    async def run(self) -> None:
        """Serve xDS and relays until cancelled."""
        server = grpc.aio.server(options=[*SERVER_OPTIONS, ("grpc.so_reuseport", 0)])
        self.discovery.add_to(server)
        StatusDiscovery(self.proxies.values, self._cache_of).add_to(server)
        relay_pb2_grpc.add_RelayServiceServicer_to_server(RelayService(self), server)  # type: ignore[no-untyped-call]
        self.port = bind(server, self.settings.listen)
        await server.start()
        self.listening.set()
        log.info("control plane listens", xds=self.settings.listen, port=self.port)
        try:
            await self._run_timers()
        finally:
            self._stopping = True
            self.discovery.close()
            for stream in list(self.relay_streams.values()):
                stream.end()
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
        """A source has something that it cannot use; what it said before stands."""
        self.source_errors[source] = message
        log.error("a change was refused; the last good state stays", source=source, error=message)

    def _publish(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.caches.publish(mesh)

    # Inspection

    def not_ready(self) -> Sequence[str]:
        """Why a session would not work now; empty when one would."""
        return missing(self.media, rtsp_proxy=bool(self.relay_streams), routes=bool(self._routed_streams))

    def end_session(self, session_id: str, reason: str) -> bool:
        """Ask the owner of a session to end it; False when there is no such session."""
        stream = self.relay_streams.get(self.session_owner.get(session_id, ""))
        if session_id not in self.sessions or stream is None:
            return False
        stream.send(relay_pb2.ControlMessage(end_session=relay_pb2.EndSession(session_id=session_id, reason=reason)))
        return True

    # xDS (StreamObserver)

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        """A proxy opened an xDS stream."""
        self.proxies[proxy.id] = proxy
        log.info("proxy connected", proxy=proxy.node.id, cluster=proxy.node.cluster, peer=proxy.peer)
        if proxy.node.cluster == MEDIA_CLUSTER:
            self._media_stream = proxy
            self.media.proxy_connected(
                media_proxy_of(proxy.node.metadata), had_state=proxy.had_state, now=time.monotonic()
            )
            self._relays_changed()
        self._warn_of_no_gateway(proxy.node)
        self._judge_readiness()

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        """A proxy's xDS stream ended."""
        self.proxies.pop(proxy.id, None)
        self._routed_streams.discard(proxy.id)
        log.info("proxy disconnected", proxy=proxy.node.id, cluster=proxy.node.cluster)
        if proxy is self._media_stream:
            self._media_stream = None
            self.media.proxy_disconnected()
            self._relays_changed()
        self._judge_readiness()

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        """A proxy has these versions now."""
        if proxy is self._media_stream:
            self.media.resources_acknowledged(type_url, versions, time.monotonic())
            self._relays_changed()
        self._check_routed(proxy)

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        """A proxy refused resources."""
        log.error("proxy refused resources", proxy=proxy.node.id, type=type_url, names=names[:10], error=message)
        if proxy is self._media_stream:
            self.media.resources_rejected(type_url, names, message, time.monotonic())
            self._relays_changed()
        self._check_routed(proxy)

    def _check_routed(self, proxy: ConnectedProxy) -> None:
        """Take note of an RTSP proxy that has answered for all its routes, whatever it said."""
        new = proxy.node.cluster == RTSP_CLUSTER and proxy.id not in self._routed_streams
        if new and knows_routes(proxy, self.routes):
            self._routed_streams.add(proxy.id)
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
        """Raises StreamError when another media proxy has this node id: two would take each other's relays."""
        older = self._media_stream
        if older is None:
            return
        known, new = media_proxy_of(older.node.metadata), media_proxy_of(node.metadata)
        if known is not None and new is not None and known.instance == new.instance:
            return  # the same supervisor's: the Envoy before it is dead, or will be found to be
        reason = (
            f"another media proxy is connected as {node.id!r}, from {older.peer}, and one control plane has one: end"
            " that one, or give this one a control plane of its own"
        )
        self._complain(reason, node.id)
        raise StreamError(Fault.ALREADY_EXISTS, reason)

    def _complain(self, reason: str, proxy: str) -> None:
        """Who is refused tries again every second: that is told now and then."""
        if self._complaints.fresh(reason, time.monotonic()):
            log.error("a proxy was refused: its name is taken", proxy=proxy, reason=reason)

    # Relays (RelayOwner)

    def refusal(self, stream: RelayStream) -> str | None:
        """Why a stream cannot be opened while another proxy has its node id; None when it can."""
        older = self.relay_streams.get(stream.node_id)
        if older is None or older.instance == stream.instance:
            return None
        reason = (
            f"another RTSP proxy is connected as {stream.node_id!r}, from {older.peer}: give each its own name with"
            " --rtsp-node"
        )
        self._complain(reason, stream.node_id)
        return reason

    def stream_opened(self, stream: RelayStream, state: relay_pb2.State) -> None:
        """A proxy has stated all that it holds; an older stream of the same process is over."""
        older = self.relay_streams.get(stream.node_id)
        if older is not None:
            older.end()
        self.relay_streams[stream.node_id] = stream
        log.info("RTSP proxy connected", proxy=stream.node_id, relays=len(state.relays), sessions=len(state.sessions))
        self._forget_sessions(stream.node_id)
        for session in state.sessions:
            self._keep_session(stream.node_id, session)
        held = {}
        for claim in state.relays:
            try:
                held[claim.relay.relay_id] = (relay_of(claim.relay, stream.node_id), claim.slot)
            except ValueError as error:
                stream.send(failed(claim.relay.relay_id, FailureReason.REFUSED, str(error)))
        self.media.registry.state(stream.node_id, held, time.monotonic())
        self._relays_changed()

    def stream_message(self, stream: RelayStream, message: relay_pb2.ProxyMessage) -> None:
        """A proxy opens or closes a relay, or tells of a session."""
        if self.relay_streams.get(stream.node_id) is not stream:
            return
        match message.WhichOneof("message"):
            case "open_relay":
                self._open_relay(stream, message.open_relay)
                self._relays_changed()
            case "close_relays":
                self._close_relays(stream, message.close_relays)
                self._relays_changed()
            case "session":
                self._keep_session(stream.node_id, message.session)
            case "session_ended":
                self.sessions.pop(message.session_ended.session_id, None)
                self.session_owner.pop(message.session_ended.session_id, None)
            case other:
                log.warning("an RTSP proxy sent a message that is not understood", proxy=stream.node_id, message=other)

    def stream_closed(self, stream: RelayStream) -> None:
        """A proxy's stream has ended; its relays wait for it."""
        if self._stopping or self.relay_streams.get(stream.node_id) is not stream:
            return
        del self.relay_streams[stream.node_id]
        if any(relay.owner == stream.node_id for relay in self.media.registry.relays.values()):
            log.warning("RTSP proxy disconnected; its relays stay for now", proxy=stream.node_id)
        else:
            log.info("RTSP proxy disconnected", proxy=stream.node_id)
        self.media.registry.proxy_lost(stream.node_id, time.monotonic())
        self._relays_changed()
        self._judge_readiness()

    def _open_relay(self, stream: RelayStream, message: relay_pb2.OpenRelay) -> None:
        try:
            relay = relay_of(message, stream.node_id)
        except ValueError as error:
            stream.send(failed(message.relay_id, FailureReason.REFUSED, str(error)))
            return
        self.media.registry.open(relay, time.monotonic())

    def _close_relays(self, stream: RelayStream, message: relay_pb2.CloseRelays) -> None:
        now = time.monotonic()
        for relay_id in message.relay_ids:
            self.media.registry.close(stream.node_id, relay_id, sender_stopped=message.sender_stopped, now=now)

    def _keep_session(self, owner: str, session: relay_pb2.Session) -> None:
        self.sessions[session.session_id] = session
        self.session_owner[session.session_id] = owner

    def _forget_sessions(self, owner: str) -> None:
        for session_id in [key for key, value in self.session_owner.items() if value == owner]:
            del self.sessions[session_id], self.session_owner[session_id]

    def _relays_changed(self) -> None:
        for owner, message in self.media.flush():
            self._tell(owner, message)
        for owner in self.media.registry.take_departed():
            self._forget_sessions(owner)
        self._check_timer()
        if not self.ready.is_set():  # relays that open and close do not end it
            self._judge_readiness()

    def _judge_readiness(self) -> None:
        if self.not_ready():
            self.ready.clear()
        else:
            self.ready.set()

    def _tell(self, owner: str, message: RelayMessage) -> None:
        stream = self.relay_streams.get(owner)
        if stream is None:
            return
        media = self.settings.media
        stream.send(control_message(message, media.layout, media.addresses))

    def _check_timer(self) -> None:
        """Wake the timer task when something is due before it wakes by itself; waking it for nothing costs more."""
        due = self.media.registry.next_timer()
        if due is not None and (self._wakes_at is None or due < self._wakes_at):
            self._due_earlier.set()

    async def _run_timers(self) -> None:
        while True:
            self._due_earlier.clear()
            self._wakes_at = self.media.registry.next_timer()
            wait = None if self._wakes_at is None else max(0.0, self._wakes_at - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self._due_earlier.wait()
            except TimeoutError:
                self.media.tick(time.monotonic())
                self._relays_changed()
