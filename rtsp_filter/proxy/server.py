"""The RTSP proxy: listens, keeps the sessions, and holds what the control plane has told it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from rtsp_filter.proxy.arrival import Arrival
from rtsp_filter.proxy.certificate import CertificateFiles
from rtsp_filter.proxy.connection import ClientConnection
from rtsp_filter.proxy.endpoints import Endpoints
from rtsp_filter.proxy.limits import PLAY_TIMEOUT, TEARDOWN_TIMEOUT, ProxyLimits
from rtsp_filter.proxy.routes import RouteView, check
from rtsp_filter.proxy.secure_server import serve_tls
from rtsp_filter.proxy.session import Client, Described, Session
from rtsp_filter.proxy.tunnels import Tunnels
from rtsp_filter.relays import RelayClient
from rtsp_filter.routing import Answer, RouteRequest
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
    there is no RTSPS."""

    listen: Listen
    control_plane: str
    node_id: str
    secure: SecureListen | None = None
    limits: ProxyLimits = field(default_factory=ProxyLimits)


class RTSPProxy:
    """State and services of the RTSP proxy; `run` serves until cancelled."""

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self.session_timeout = settings.limits.session_timeout
        self.sessions: dict[str, Session] = {}
        self.udp_receivers: dict[tuple[str, int], Session] = {}
        self.port = 0
        self.secure_port = 0
        self.tunnels = Tunnels(self)
        self.listening = asyncio.Event()
        self.relays = RelayClient(
            settings.control_plane,
            settings.node_id,
            on_relay_lost=self._relay_lost,
            on_end_session=self._end_asked,
        )
        self.endpoints = Endpoints()
        self._routes = RouteView()
        self._xds = XdsClient(
            settings.control_plane,
            node_id=settings.node_id,
            cluster=NODE_CLUSTER,
            on_update=self._update,
            check=check,
        )
        self._connections: Counter[str] = Counter()
        self._client_sessions: Counter[str] = Counter()
        self._endings: set[asyncio.Task[None]] = set()
        self._graces: dict[Session, asyncio.TimerHandle] = {}

    async def run(self) -> None:
        """Serve until cancelled; then end every session in order. Raises OSError for an address or a certificate that
        cannot be used."""
        with ExitStack() as sockets:
            sock = sockets.enter_context(_bind(self.settings.listen))
            self.port = sock.getsockname()[1]
            secure = self._open_secure(sockets)
            async with asyncio.TaskGroup() as tasks:
                listeners = [tasks.create_task(part, name="RTSPS") for part in secure]
                streams = [
                    tasks.create_task(self._xds.run(), name="xDS client"),
                    tasks.create_task(self.relays.run(), name="relay client"),
                    tasks.create_task(self.endpoints.run(), name="health checks"),
                ]
                try:
                    await self._accept(sock)
                finally:
                    for listener in listeners:
                        listener.cancel()
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
        self.secure_port = sock.getsockname()[1]
        log.info("RTSPS listens", address=secure.listen.address, port=self.secure_port)
        return files.run(), serve_tls(sock, self, lambda: files.context)

    async def _accept(self, sock: socket.socket) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Arrival(self), sock=sock, backlog=_BACKLOG)
        log.info("RTSP proxy listens", address=self.settings.listen.address, port=self.port)
        self.listening.set()
        try:
            await loop.create_future()
        finally:
            server.close()

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads. Raises RTSPError with 503 before the control plane has said anything."""
        if not self._routes.usable:
            raise RTSPError("no routes yet: the control plane has not answered", status=StatusCode.SERVICE_UNAVAILABLE)
        return self.endpoints.decide(request)

    def _update(self, state: XdsState) -> None:
        """The control plane has told something."""
        self._routes.update(state)
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
        """A client's connection is gone: TCP sessions with it, UDP sessions unless they are resumed soon.

        `broken`: the network, not the client, ended it; nobody is left who could resume.
        """
        self.release(client.address)
        loop = asyncio.get_running_loop()
        for session in client.sessions:
            session.clients.discard(client)
            if session.ended or session.clients:
                continue
            if session.lower is LowerTransport.TCP or broken:
                self.session_over(session, "the client's connection was lost")
            else:
                self._graces[session] = loop.call_later(
                    self.settings.limits.resume_grace, self.session_over, session, "the client did not come back"
                )

    def session_resumed(self, session: Session) -> None:
        """A connection speaks for the session (again)."""
        timer = self._graces.pop(session, None)
        if timer is not None:
            timer.cancel()

    def new_session(self, described: Described, client: Client, lower: LowerTransport) -> Session:
        """A session that is about to be set up. Raises RTSPError with 453 when there are too many."""
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
        self.endpoints.admit(described.decision)
        session = Session(self, described, client, lower)
        self.sessions[session.id] = session
        self.endpoints.session_began(session.id, described.decision)
        self._client_sessions[client.address] += 1
        asyncio.get_running_loop().call_later(PLAY_TIMEOUT, self._expect_play, session)
        return session

    def session_over(self, session: Session, reason: str, *, close_client: bool = True) -> asyncio.Task[None]:
        """End a session, whatever becomes of the caller; it is of no use to anybody from now on."""
        self.sessions.pop(session.id, None)
        if session.ending is not None:
            return session.ending
        ending = session.end(reason, close_client=close_client)
        session.ending = task = asyncio.create_task(ending, name=f"end of {session.id}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    def session_ended(self, session: Session) -> None:
        """A session holds nothing any more."""
        self.sessions.pop(session.id, None)
        self.endpoints.session_ended(session.id)
        self.session_resumed(session)
        self._client_sessions[session.client_address] -= 1
        if not self._client_sessions[session.client_address]:
            del self._client_sessions[session.client_address]

    def _expect_play(self, session: Session) -> None:
        if not session.played and not session.ended:
            self.session_over(session, f"it was not played within {PLAY_TIMEOUT:.0f} s")

    def _relay_lost(self, relay_id: str, reason: str) -> None:
        for session in self.sessions.values():
            if session.holds_relay(relay_id):
                self.session_over(session, f"its relay was taken back: {reason}")
                return

    def _end_asked(self, session_id: str, reason: str) -> None:
        session = self.sessions.get(session_id)
        if session is not None:
            self.session_over(session, reason)

    async def _end_all(self) -> None:
        """End every session in order: cameras are told, relays given back."""
        for session in list(self.sessions.values()):
            self.session_over(session, "the proxy is shutting down")
        if self._endings:
            await asyncio.wait(self._endings, timeout=TEARDOWN_TIMEOUT + 1)
        await self.relays.drain()


def _bind(listen: Listen) -> socket.socket:
    """A listening socket; "::" takes IPv4 too."""
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    address = (listen.address, listen.port)
    return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=listen.address == "::")
