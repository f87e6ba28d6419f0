"""The RTSP proxy: listens, keeps the sessions, and holds what the control plane has told it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from mesh.wire.relay_pb2 import EndpointReport
from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.clients.arrival import Arrival
from rtsp_filter.proxy.clients.certificate import CertificateFiles
from rtsp_filter.proxy.clients.connection import ClientConnection
from rtsp_filter.proxy.clients.gate import Gatekeeper
from rtsp_filter.proxy.clients.secure_server import serve_tls
from rtsp_filter.proxy.clients.tunnels import Tunnels
from rtsp_filter.proxy.limits import PLAY_TIMEOUT, TEARDOWN_TIMEOUT, ProxyLimits
from rtsp_filter.proxy.multicast.feeds import Feeds, MulticastSettings
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.multicast.reader import Reader
from rtsp_filter.proxy.routes import RouteView, check
from rtsp_filter.proxy.sessions.deserted import DesertedSessions
from rtsp_filter.proxy.sessions.draining import Draining
from rtsp_filter.proxy.sessions.handover import Handovers
from rtsp_filter.proxy.sessions.media_watch import MediaWatch
from rtsp_filter.proxy.sessions.receiver_ports import ReceiverPorts
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Client, Described
from rtsp_filter.proxy.shadows.mirrors import Mirrors
from rtsp_filter.proxy.shadows.shadow import Shadows
from rtsp_filter.relays import RelayClient
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.table import Answer, RouteRequest, RouteTable
from rtsp_filter.rtsp import LowerTransport, RTSPError, StatusCode
from rtsp_filter.xds import XdsClient, XdsState

# What the control plane knows RTSP proxies by.
NODE_CLUSTER = "msm-rtsp"
# Connections that wait to be accepted: a burst of players after a restart.
_BACKLOG = 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """An address and TCP port to listen at; port 0: any."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureListen:
    """Where to listen for RTSPS, and the PEM files of the certificate and its private key (None: in the same file)."""

    listen: Listen
    certificate: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """`control_plane` is host:port; `node_id` tells this proxy from others at the control plane. `secure` is None where
    there is no RTSPS, `multicast` where nobody gets media that way."""

    listen: Listen
    control_plane: str
    node_id: str
    secure: SecureListen | None = None
    multicast: MulticastSettings | None = None
    limits: ProxyLimits = field(default_factory=ProxyLimits)


class RTSPProxy:
    """State and services of the RTSP proxy; `run` serves until cancelled."""

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self.session_timeout = settings.limits.session_timeout
        self.sessions: dict[str, Session] = {}
        self.receiver_ports = ReceiverPorts()
        self.feeds = Feeds(self, settings.multicast)
        self.camera_groups = CameraGroups(self.feeds.pool)
        self.port = 0
        self.secure_port = 0
        self.tunnels = Tunnels(self)
        self.listening = asyncio.Event()
        self.endpoints = Endpoints(self._report_endpoints)
        self.gatekeeper = Gatekeeper(on_wrong=self.endpoints.wrong_password)
        self._deserted = DesertedSessions(settings.limits, self._end_asked)
        self._media_watch = MediaWatch(self._session_of_relay, self._deserted)
        self._handovers = Handovers(self)
        self._draining = Draining(self.sessions)
        self.relays = RelayClient(
            settings.control_plane,
            settings.node_id,
            on_relay_lost=self._relay_lost,
            on_end_session=self._end_asked,
            media=self._media_watch,
            sessions=self._handovers,
            state_endpoints=self.endpoints.stated,
            on_tunnel_found=self.tunnels.meetings.found,
        )
        self.shadows = Shadows(self)
        self.mirrors = Mirrors(self.endpoints, self.shadows)
        self._certificate_files: CertificateFiles | None = None
        self._routes = RouteView()
        self._routed = asyncio.Event()
        self._xds = XdsClient(
            settings.control_plane,
            node_id=settings.node_id,
            cluster=NODE_CLUSTER,
            on_update=self._update,
            check=check,
        )
        self._connections: Counter[str] = Counter()
        self._client_sessions: Counter[str] = Counter()
        self._endings: set[asyncio.Task[None]] = set()  # and other work of sessions

    async def run(self) -> None:
        """Serve until cancelled; then end every session in order. Raises OSError for an address or a certificate that
        cannot be used."""
        with ExitStack() as sockets:
            sock = sockets.enter_context(_bind(self.settings.listen))
            self.port = self._listens("rtsp", sock)
            secure = self._open_secure(sockets)
            async with asyncio.TaskGroup() as tasks:
                listeners = [tasks.create_task(part, name="RTSPS") for part in secure]
                streams = [
                    tasks.create_task(self._xds.run(), name="xDS client"),
                    tasks.create_task(self.relays.run(), name="relay client"),
                    tasks.create_task(self.endpoints.run(), name="health checks"),
                ]
                try:
                    await self._accept(sock, listeners)
                finally:
                    await self._end_all()
                    for stream in streams:
                        stream.cancel()

    def _open_secure(self, sockets: ExitStack) -> tuple[Coroutine[None, None, None], ...]:
        """What serves RTSPS, if it is to be served."""
        secure = self.settings.secure
        if secure is None:
            return ()
        files = CertificateFiles(secure.certificate, secure.key)
        try:
            sock = sockets.enter_context(_bind(secure.listen))
        except OSError as error:
            raise OSError(f"RTSPS at {secure.listen.address}:{secure.listen.port}: {error.strerror}") from error
        self.secure_port = self._listens("rtsps", sock)
        self._certificate_files = files
        log.info("RTSPS listens", address=secure.listen.address, port=self.secure_port)
        return files.run(), serve_tls(sock, self, lambda: files.context)

    def _listens(self, scheme: str, sock: socket.socket) -> int:
        """Let other proxies know where this one listens. Gives the port."""
        address, port = sock.getsockname()[:2]
        self.relays.listens(scheme, address, port)
        return int(port)

    @property
    def certificate(self) -> bytes:
        """SHA-256 of what this proxy's RTSPS shows (DER); empty where there is none."""
        return b"" if self._certificate_files is None else self._certificate_files.fingerprint

    @property
    def drains(self) -> bool:
        """Whether this proxy is about to end."""
        return self._draining.begun.is_set()

    async def drain(self, seconds: float) -> None:
        """Take nothing new on, and wait for the end of all sessions, `seconds` at most. Those over UDP are left for
        other proxies then; `run` ends the others, when it is cancelled."""
        self.relays.begin_draining()
        await self._draining.run(seconds)
        await self.relays.drain()

    async def _accept(self, sock: socket.socket, secure: Iterable[asyncio.Task[None]]) -> None:
        """Accept connections until draining begins, and wait then to be cancelled. `secure` accepts those by TLS."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Arrival(self), sock=sock, backlog=_BACKLOG)
        log.info("RTSP proxy listens", address=self.settings.listen.address, port=self.port)
        self.listening.set()
        try:
            await self._draining.begun.wait()
        finally:
            server.close()
            for listener in secure:
                listener.cancel()
        await loop.create_future()

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads. Raises RTSPError with 503 before the control plane has said anything."""
        if not self._routes.usable:
            raise RTSPError("no routes yet: the control plane has not answered", status=StatusCode.SERVICE_UNAVAILABLE)
        self._draining.check()
        return self.endpoints.decide(request)

    def users_name(self, request: RouteRequest) -> str:
        """The name of those whom the route of a request is for; empty: everybody. Raises RTSPError (403)."""
        return self._routes.table.users_name(request)

    def users(self, name: str) -> UserList:
        """The users of that name. Raises RTSPError with 503 where they are not known (yet, or any more)."""
        users = self._routes.table.users.get(name)
        if users is None:
            raise RTSPError("the users of this route are not known; ask again", status=StatusCode.SERVICE_UNAVAILABLE)
        return users

    def _update(self, state: XdsState) -> None:
        """The control plane has told something."""
        self._routes.update(state)
        if self._routes.usable:
            self._routed.set()
        self.endpoints.update(self._routes.table)

    def admit(self, address: str) -> bool:
        """Count a new connection from `address`; False when there are too many."""
        limits = self.settings.limits
        if self._connections.total() >= limits.max_connections:
            return False
        if self._connections[address] >= limits.max_connections_per_client:
            return False
        self._connections[address] += 1
        return True

    def release(self, address: str) -> None:
        """A connection from `address` that was counted is gone."""
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]

    def connection_lost(self, client: ClientConnection, *, broken: bool) -> None:
        """A client's connection is gone: TCP sessions with it, UDP sessions unless they are resumed soon, or their
        receivers are heard. `broken`: the network, not the client, ended it."""
        self.release(client.address)
        for session in client.sessions:
            session.clients.discard(client)
            if session.ended or session.clients:
                continue
            if session.media.lower is LowerTransport.TCP:
                self.session_over(session, "the client's connection was lost")
            elif not self._draining.deserted(session):
                self._deserted.begin(session.id, broken=broken)

    def session_resumed(self, session: Session) -> None:
        """A connection speaks for the session (again)."""
        self._deserted.resumed(session.id)

    def new_session(self, described: Described, client: Client, lower: LowerTransport) -> Session:
        """A session that is about to be set up. Raises RTSPError with 453 when there are too many."""
        self._check_room(client)
        self.endpoints.admit(described.decision)
        session = Session(self, described, client, lower)
        self._keep(session)
        self.endpoints.session_began(session.id, described.decision)
        session.join(client)
        return session

    def new_reader(self, described: Described, client: Client) -> Session:
        """A session that takes part in a multicast group. Raises RTSPError with 453 when there are too many, or no
        group. It is none of the camera's sessions: all readers share one."""
        self._check_room(client)
        reader = Reader(self, described, client, self.feeds.join(described))
        self._keep(reader)
        reader.join(client)
        return reader

    def adopt(self, session: Session) -> None:
        """A session of another proxy lives here from now on; its client has the time of a session to come too. It
        counts, and is not refused: it was admitted there."""
        self._keep(session)
        self.endpoints.session_began(session.id, session.source.decision)
        self._deserted.handed(session.id)

    async def find_session(self, session_id: str, client_address: str) -> Session | None:
        """The session of this id, if there is one, here or at another proxy."""
        return self.sessions.get(session_id) or await self._handovers.find(session_id, client_address)

    async def routes(self) -> RouteTable:
        """The routes, once they are known."""
        await self._routed.wait()
        return self._routes.table

    def _check_room(self, client: Client) -> None:
        self._draining.check()
        if len(self.sessions) >= self.settings.limits.max_sessions:
            raise RTSPError(
                f"this proxy has its {self.settings.limits.max_sessions} sessions already",
                status=StatusCode.NOT_ENOUGH_BANDWIDTH,
            )
        limits = self.settings.limits
        if self._client_sessions[client.address] >= limits.max_sessions_per_client:
            raise RTSPError(
                f"{client.address} has its {limits.max_sessions_per_client} sessions already",
                status=StatusCode.NOT_ENOUGH_BANDWIDTH,
            )

    def _keep(self, session: Session) -> None:
        self.sessions[session.id] = session
        self._client_sessions[session.client_address] += 1
        asyncio.get_running_loop().call_later(PLAY_TIMEOUT, self._expect_play, session)

    def session_over(self, session: Session, reason: str, *, close_client: bool = True) -> asyncio.Task[None]:
        """End a session, whatever becomes of the caller; it is of no use to anybody from now on."""
        if self.sessions.get(session.id) is session:  # what has left may have come back as another one
            del self.sessions[session.id]
        if session.ending is not None:
            return session.ending
        ending = session.end(reason, close_client=close_client)
        session.ending = self.keep(ending, f"end of {session.id}")
        return session.ending

    def leave(self, described: Described) -> None:
        """Say farewell to a camera that is not needed any more, whatever becomes of the caller."""

        async def part() -> None:
            try:
                await described.stop()
            finally:
                described.upstream.close()

        upstream = described.upstream
        upstream.on_closed = upstream.on_media = upstream.on_takes = upstream.on_request = None
        self.keep(part(), "farewell to a camera")

    def keep(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Have work done, which ends with the proxy."""
        task = asyncio.create_task(work, name=name)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    def session_ended(self, session: Session) -> None:
        """A session holds nothing any more."""
        self.sessions.pop(session.id, None)
        self.endpoints.session_ended(session.id)
        self.mirrors.over(session.id)
        self._deserted.forget(session.id)
        self._media_watch.forget(session.id)
        self._client_sessions[session.client_address] -= 1
        if not self._client_sessions[session.client_address]:
            del self._client_sessions[session.client_address]
        self._draining.session_ended()

    def _expect_play(self, session: Session) -> None:
        if not session.played and not session.ended:
            self.session_over(session, f"it was not played within {PLAY_TIMEOUT:.0f} s")

    def _session_of_relay(self, relay_id: str) -> Session | None:
        session_id = self.relays.session_of(relay_id)
        return None if session_id is None else self.sessions.get(session_id)

    def _relay_lost(self, relay_id: str, session_id: str, reason: str) -> None:
        session = self.sessions.get(session_id)
        if session is not None and session.holds_relay(relay_id):
            self.session_over(session, f"its relay was taken back: {reason}")

    def _report_endpoints(self, report: EndpointReport) -> None:
        self.relays.report_endpoints(report)

    def _end_asked(self, session_id: str, reason: str) -> None:
        session = self.sessions.get(session_id)
        if session is None:
            self._handovers.end_asked(session_id, lambda: self._end_asked(session_id, reason))
        else:
            self.session_over(session, reason)

    async def _end_all(self) -> None:
        """End every session in order: cameras are told, relays given back."""
        for session in list(self.sessions.values()):
            self.session_over(session, "the proxy is shutting down")
        await self.shadows.end_all()
        if self._endings:
            await asyncio.wait(self._endings, timeout=TEARDOWN_TIMEOUT + 1)
        await self.relays.finish()


def _bind(listen: Listen) -> socket.socket:
    """A listening socket; "::" takes IPv4 too."""
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    address = (listen.address, listen.port)
    return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=listen.address == "::")
