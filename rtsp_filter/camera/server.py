"""The camera as a server: sockets and timers around `CameraCore`.

No tasks: connections call in, and each playing session has one timer, at which everything due is sent.
"""

from __future__ import annotations

import asyncio
import socket
import time
from itertools import count
from math import ceil

from rtsp_filter.camera.connection import Connection
from rtsp_filter.camera.core import CameraCore, SessionEnded
from rtsp_filter.camera.negotiation import Peer
from rtsp_filter.camera.session import Batch, CameraSession, SocketAddress, TCPTarget
from rtsp_filter.camera.settings import CameraSettings
from rtsp_filter.camera.udp import PortPair
from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import Request, Response

EXPIRY_INTERVAL = 1.0
"""Seconds between looks for silent sessions: how much longer than its time-out one may live."""

LISTEN_BACKLOG = 1024
"""Connections that wait to be accepted: as many as a benchmark opens at once."""


TICK = 0.001
"""Seconds from wake-up to wake-up at least: many sessions share one, at the price of so little jitter."""

CLOSE_GRACE = 1.0
"""Seconds for players to take what was already written, at the end."""


class Camera:
    """A camera on the network. `start` it, or use it as an async context manager."""

    def __init__(self, settings: CameraSettings, clip: Clip | None = None) -> None:
        """Sends `clip`, or the bundled one, for ever."""
        self._settings = settings
        self._clip = clip or Clip.load()
        self._connections: dict[int, Connection] = {}
        self._peers: dict[Connection, Peer] = {}
        self._numbers = count()
        self._unconnected = asyncio.Event()
        self._unconnected.set()
        self._ports: dict[str, PortPair] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        self._loop = asyncio.get_running_loop()
        offset = time.time() - self._loop.time()
        self._core = CameraCore(self._settings, self._clip, unix_offset=offset)
        self._server = await self._loop.create_server(
            lambda: Connection(self), self._settings.host, self._settings.port, backlog=LISTEN_BACKLOG
        )
        self._expiry = self._loop.call_later(EXPIRY_INTERVAL, self._expire)

    async def stop(self) -> None:
        """Say goodbye to every player and close every socket."""
        self._expiry.cancel()
        self._server.close()
        self._core.end_all(self._loop.time())
        self._follow_events()
        await self._hang_up()
        await self._server.wait_closed()
        for pair in self._ports.values():
            pair.close()

    async def __aenter__(self) -> Camera:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """A URL that plays."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"rtsp://{host}:{self.port}{self._settings.path or '/camera'}"

    @property
    def session_count(self) -> int:
        """Sessions that are set up, playing or not."""
        return len(self._core.sessions)

    def connected(self, connection: Connection, transport: asyncio.Transport) -> None:
        """A player connected; without UDP ports for its side it is sent away."""
        local: SocketAddress = transport.get_extra_info("sockname")
        remote: SocketAddress = transport.get_extra_info("peername")
        self._watch_for_silence(transport.get_extra_info("socket"))
        try:
            ports = self._port_pair(local).ports
        except OSError:
            connection.abort()
            return
        number = next(self._numbers)
        self._connections[number] = connection
        self._unconnected.clear()
        self._peers[connection] = Peer(connection=number, remote=remote, local=local[0], server_ports=ports)

    def request_received(self, connection: Connection, request: Request) -> Response:
        """The response; what it ends has been said goodbye to, what it starts comes after it."""
        response = self._core.handle(request, self._peers[connection], self._loop.time())
        self._follow_events()
        return response

    def frame_received(self, connection: Connection, channel: int, data: bytes) -> None:
        """An interleaved frame of the player."""
        self._core.receive_frame(self._peers[connection].connection, channel, data, self._loop.time())

    def disconnected(self, connection: Connection) -> None:
        """The player hung up."""
        peer = self._peers.pop(connection, None)
        if peer is not None:
            del self._connections[peer.connection]
            if not self._connections:
                self._unconnected.set()
            self._core.connection_lost(peer.connection, self._loop.time())
            self._follow_events()

    async def _hang_up(self) -> None:
        for connection in list(self._connections.values()):
            connection.close()
        try:
            async with asyncio.timeout(CLOSE_GRACE):
                await self._unconnected.wait()
        except TimeoutError:
            for connection in list(self._connections.values()):
                connection.abort()

    def _watch_for_silence(self, sock: socket.socket) -> None:
        """A player that vanished takes no more data; the system notices."""
        timeout = self._settings.session_timeout * 1000
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)

    def _port_pair(self, local: SocketAddress) -> PortPair:
        if local[0] not in self._ports:
            self._ports[local[0]] = PortPair(local, self._receive_report)
        return self._ports[local[0]]

    def _receive_report(self, data: bytes, source: SocketAddress) -> None:
        self._core.receive_udp_report(data, source, self._loop.time())

    def _expire(self) -> None:
        self._core.expire(self._loop.time())
        self._follow_events()
        self._expiry = self._loop.call_later(EXPIRY_INTERVAL, self._expire)

    def _follow_events(self) -> None:
        for event in self._core.take_events():
            if isinstance(event, SessionEnded):
                self._send(event.farewell)
            self._schedule(event.session)

    def _schedule(self, session: CameraSession) -> None:
        timer = self._timers.pop(session.id, None)
        if timer is not None:
            timer.cancel()
        due = session.next_timer()
        if due is not None:
            self._timers[session.id] = self._loop.call_at(ceil(due / TICK) * TICK, self._send_due, session)

    def _send_due(self, session: CameraSession) -> None:
        self._send(session.take_due(self._loop.time()))
        self._schedule(session)

    def _send(self, batches: list[Batch]) -> None:
        for batch in batches:
            target = batch.target
            if not isinstance(target, TCPTarget):
                self._ports[target.local].send(target, batch)
            elif target.connection in self._connections:
                self._connections[target.connection].send(target, batch)
