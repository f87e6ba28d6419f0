"""A client's connection: requests in, answered in order; interleaved media out, never torn apart.

Requests are handled one at a time by a task that lives only while there are some. Media passes by outside of it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Protocol, cast

import structlog

from rtsp_filter.proxy.limits import IDLE_TIMEOUT, MAX_HELD_MESSAGES, MAX_PIPELINED, STALLED_TIMEOUT, WRITE_BUFFER_BYTES
from rtsp_filter.proxy.requests import RequestHandler
from rtsp_filter.proxy.session import Host, Session
from rtsp_filter.proxy.sockets import plain_address, watch_peer
from rtsp_filter.proxy.upstream import UpstreamError
from rtsp_filter.rtsp import (
    RTSPURL,
    InterleavedChunk,
    LowerTransport,
    Parser,
    Request,
    Response,
    RTSPError,
    RTSPParseError,
    StatusCode,
    URLError,
    respond,
    response_for,
)

# What is no URL is logged up to here.
MAX_LOGGED_URL = 200

log = structlog.get_logger()


class ConnectionHost(Host, Protocol):
    """The proxy that connections come to."""

    def admit(self, address: str) -> bool:
        """Count a new connection from `address`; False when there are too many."""

    def connection_lost(self, client: ClientConnection, *, broken: bool) -> None:
        """A counted connection is gone; `broken`: the network ended it."""


class ClientConnection(asyncio.Protocol):
    """One TCP connection of a client."""

    def __init__(self, proxy: ConnectionHost) -> None:
        self.address = ""
        self.local_address = ""
        self.sessions: set[Session] = set()
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._handler = RequestHandler(proxy, self)
        self._transport: asyncio.Transport | None = None
        self._requests: deque[Request] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._mid_frame = False
        self._held: list[bytes] = []
        self._closing = False
        self._admitted = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.address = plain_address(transport.get_extra_info("peername")[0])
        self.local_address = plain_address(transport.get_extra_info("sockname")[0])
        sock: socket.socket = transport.get_extra_info("socket")
        watch_peer(sock, max(2, self._proxy.session_timeout // 2))
        self._admitted = self._proxy.admit(self.address)
        if not self._admitted:
            log.warning("connection refused: too many", client=self.address)
            self._transport.abort()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.receive_data(data)
            while not self._closing and (event := self._parser.next_event()) is not None:
                if isinstance(event, Request):
                    self._queue(event)
                elif isinstance(event, InterleavedChunk):
                    self._media_from_client(event)
        except RTSPParseError as error:
            log.info("a client sent something that is not RTSP", client=self.address, error=str(error))
            self._send(_refusal(response_for(error.status, error.cseq), error).encode())
            self._finish()

    def pause_writing(self) -> None:
        self._stalled = self._loop.call_later(STALLED_TIMEOUT, self._abort)
        for session in self.sessions:
            session.upstream.pause()

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        for session in self.sessions:
            session.upstream.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for timer in (self._idle, self._stalled):
            if timer is not None:
                timer.cancel()
        if self._worker is not None:
            self._worker.cancel()
        self._handler.close()
        if self._admitted:
            self._proxy.connection_lost(self, broken=exc is not None)

    # For sessions

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Pass interleaved frames on; messages that wait go out where a frame ends."""
        if self._transport is None or self._closing:
            return
        if self._held:
            boundary = len(chunk.data) if chunk.whole else chunk.last_frame if chunk.frames else None
            if boundary is not None:
                self._transport.write(chunk.data[:boundary])
                self._transport.write(b"".join(self._held))
                self._held.clear()
                self._transport.write(chunk.data[boundary:])
            else:
                self._transport.write(chunk.data)
        else:
            self._transport.write(chunk.data)
        self._mid_frame = not chunk.whole

    def end(self, reason: str) -> None:
        """Close the connection: its session is over, and RTSP/1.0 knows no other way to say so."""
        log.info("client connection closed", client=self.address, reason=reason)
        self._finish()

    def attach(self, session: Session) -> None:
        """This connection speaks for `session` from now on, unless the session's media runs on another."""
        if session.lower is LowerTransport.TCP and session.client is not self:
            return  # its media stays where it is
        if session.client is not None:
            session.client.detach(session)
        session.client = self
        self.sessions.add(session)
        self._proxy.session_resumed(session)

    def detach(self, session: Session) -> None:
        """This connection speaks for `session` no longer."""
        self.sessions.discard(session)

    def has_interleaved_session(self) -> bool:
        """Whether a session's media already runs here: frames of two cameras cannot be told apart in mid-frame."""
        return any(session.lower is LowerTransport.TCP for session in self.sessions)

    # Requests

    def _queue(self, request: Request) -> None:
        self._requests.append(request)
        if len(self._requests) >= MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()
        if self._worker is None:
            self._worker = asyncio.create_task(self._answer_all(), name=f"requests of {self.address}")

    async def _answer_all(self) -> None:
        while self._requests and not self._closing:
            request = self._requests.popleft()
            if len(self._requests) == MAX_PIPELINED - 1 and self._transport is not None:
                self._transport.resume_reading()
            response = await self._answer(request)
            self._send(response.encode())
            self._expect_request()
        self._worker = None

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler.handle(request)
        except RTSPError as error:
            log.info(
                "request refused",
                client=self.address,
                method=request.method,
                url=_without_password(request.url),
                status=int(error.status),
                why=str(error),
                **({"camera": error.camera} if isinstance(error, UpstreamError) and error.camera else {}),
            )
            return _refusal(respond(request, error.status), error)
        except Exception:
            log.exception("a request failed through a fault of this proxy", method=request.method)
            return respond(request, StatusCode.INTERNAL_SERVER_ERROR)

    def _send(self, message: bytes) -> None:
        if self._transport is None or self._closing:
            return
        if not self._mid_frame:
            self._transport.write(message)
        elif len(self._held) < MAX_HELD_MESSAGES:
            self._held.append(message)
        else:
            self._abort()

    def _media_from_client(self, chunk: InterleavedChunk) -> None:
        for session in self.sessions:
            if session.lower is LowerTransport.TCP:
                session.send_media(chunk)

    def _expect_request(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(IDLE_TIMEOUT, self._idle_too_long)

    def _idle_too_long(self) -> None:
        """A session keeps its connection; whether the client is there, TCP's own probes find out."""
        if self.sessions or self._worker is not None:
            self._expect_request()
        else:
            self._finish()

    def _finish(self) -> None:
        """Close after what has been written."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def _abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()


def _without_password(url: str) -> str:
    try:
        return str(RTSPURL.parse(url).without_userinfo())
    except URLError:
        return url[:MAX_LOGGED_URL]


def _refusal(response: Response, error: RTSPError) -> Response:
    """The reason where players show it, and where people read it."""
    response.headers.set("Content-Type", "text/plain; charset=utf-8")
    return Response(
        status=response.status, reason=response.reason, headers=response.headers, body=f"{error}\r\n".encode()
    )
