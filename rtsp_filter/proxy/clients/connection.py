"""A client's connection: requests in, answered in order; interleaved media out, never torn apart.

Requests are handled one at a time by a task that lives only while there are some. Media passes by outside of it. The
client is not read while it has too much to be answered, does not take what it is sent, or its camera does not take
what it sends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol, cast

import structlog

from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.clients.client_urls import shown_url
from rtsp_filter.proxy.clients.outbox import Outbox, OutboxFullError
from rtsp_filter.proxy.clients.questions import Questions
from rtsp_filter.proxy.clients.requests import RequestHandler
from rtsp_filter.proxy.limits import (
    FIRST_REQUEST_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_PIPELINED,
    MAX_PIPELINED_BYTES,
    MAX_SHOWN_URL,
    STALLED_TIMEOUT,
    WRITE_BUFFER_BYTES,
)
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Host
from rtsp_filter.proxy.sockets import plain_address
from rtsp_filter.rtsp import (
    BOTH_VERSIONS,
    InterleavedChunk,
    LowerTransport,
    Method,
    Parser,
    Payload,
    PlayerLeg,
    Request,
    Response,
    RTSPError,
    RTSPParseError,
    StatusCode,
    encode_frames,
    respond,
    response_for,
)

log = structlog.get_logger()


class ConnectionHost(Host, Protocol):
    """The proxy that connections belong to. Each was counted when it came."""

    def release(self, address: str) -> None:
        """A counted connection from `address` is gone, and no client had it."""

    def connection_lost(self, client: ClientConnection, *, broken: bool) -> None:
        """A client's connection, which was counted, is gone; `broken`: the network ended it."""


class _Hold(Enum):
    """Why a client is not read."""

    REQUESTS = auto()
    WRITING = auto()
    CAMERA = auto()
    NOT_RTSP = auto()


class ClientConnection(asyncio.Protocol):
    """A client's connection: TCP, TLS, or a tunnel of two. Its first request must be whole at `request_by` (the event
    loop's time; None: FIRST_REQUEST_TIMEOUT from now)."""

    def __init__(
        self, proxy: ConnectionHost, *, request_by: float | None = None, interleaved_only: bool = False
    ) -> None:
        self.address = ""
        self.local_address = ""
        self.interleaved_only = interleaved_only
        self.sessions: set[Session] = set()
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(versions=BOTH_VERSIONS)
        self._leg = PlayerLeg()
        self._outbox = Outbox()
        self._questions = Questions(self._send_request)
        self._handler = RequestHandler(proxy, self)
        self._transport: asyncio.Transport | None = None
        self._requests: deque[Request | RTSPParseError] = deque()
        self._body_bytes = 0
        self._worker: asyncio.Task[None] | None = None
        self._request_by = self._loop.time() + FIRST_REQUEST_TIMEOUT if request_by is None else request_by
        self._idle: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._holds: set[_Hold] = set()
        self._closing = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.address = plain_address(transport.get_extra_info("peername")[0])
        self.local_address = plain_address(transport.get_extra_info("sockname")[0])
        self._idle = self._loop.call_at(self._request_by, self._idle_too_long)

    def data_received(self, data: bytes) -> None:
        with contextlib.suppress(RTSPParseError):  # of before, which is about to be answered
            self._parser.receive_data(data)
            self._take_events()

    def pause_writing(self) -> None:
        self._stalled = self._loop.call_later(STALLED_TIMEOUT, self._abort)
        self._hold(_Hold.WRITING)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        self._release(_Hold.WRITING)
        log.info("a client takes its media again", client=self.address, frames_dropped=self.frames_dropped)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for timer in (self._idle, self._stalled):
            if timer is not None:
                timer.cancel()
        for session in self._torn_down():
            self._proxy.session_over(session, "the client ended it, and hung up")
        if self._worker is not None:
            self._worker.cancel()
        self._handler.close()
        self._proxy.connection_lost(self, broken=exc is not None)

    def _torn_down(self) -> list[Session]:
        """Sessions of this connection whose TEARDOWN waits its turn: some players hang up right behind it."""
        waiting = (each for each in self._requests if isinstance(each, Request) and each.method == Method.TEARDOWN)
        named = {(each.headers.get("Session") or "").partition(";")[0].strip() for each in waiting}
        return [session for session in self.sessions if session.id in named]

    # For sessions

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Pass interleaved frames on; messages that wait go out where a frame ends. While the client does not take what
        it is sent, frames are dropped whole, and counted: no camera waits for a player."""
        if self._transport is None or self._closing:
            return
        before, room = self._outbox.dropped, _Hold.WRITING not in self._holds
        for data in self._outbox.media(chunk, room=room):
            self._transport.write(data)
        if not room:
            self._tell_of_dropped(self._outbox.dropped - before)

    def write_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        """Send a frame of each payload, or drop them, as `write_media` does."""
        if self._transport is None or self._closing:
            return
        if _Hold.WRITING in self._holds:
            self._outbox.dropped += len(payloads)
            self._tell_of_dropped(len(payloads))
        else:
            self._transport.write(encode_frames(channel, payloads))

    def _tell_of_dropped(self, frames: int) -> None:
        for session in self._interleaved():
            session.source.upstream.frames_dropped(frames)

    @property
    def frames_dropped(self) -> int:
        """Frames of media that this client did not take in time."""
        return self._outbox.dropped

    def translate_channels(self, table: bytes | None) -> None:
        """Number the channels of this client's frames as its camera does."""
        self._parser.translate_channels(table)

    def camera_takes(self, takes: bool) -> None:
        """Whether the camera takes what this client sends; the client is not read while it does not."""
        if takes:
            self._release(_Hold.CAMERA)
        else:
            self._hold(_Hold.CAMERA)

    @property
    def speaks_version2(self) -> bool:
        """Whether the client's requests are of RTSP 2.0."""
        return self._leg.speaks_version2

    async def ask(self, request: Request) -> Response:
        """The client's answer to a request. Raises RTSPError when there is none."""
        return await self._questions.ask(request)

    def _send_request(self, request: Request) -> None:
        self._send(self._leg.request(request).encode())

    def attach(self, session: Session) -> None:
        """This connection speaks for `session` too."""
        self.sessions.add(session)

    def session_over(self, session: Session, reason: str, *, close: bool) -> None:
        """A session that this connection spoke for is over; RTSP/1.0 knows no other way to say so than to close.

        A connection with other sessions stays, unless it was left in the middle of a frame.
        """
        self.sessions.discard(session)
        if self._outbox.mid_frame or (close and not self.sessions):
            log.info("client connection closed", client=self.address, reason=reason)
            self._finish()

    def has_interleaved_session(self) -> bool:
        """Whether a session's media already runs here: frames of two cameras cannot be told apart in mid-frame."""
        return any(True for _ in self._interleaved())

    # Requests

    def _take_events(self) -> None:
        """Take what was read. While the client is held, it waits in the parser, and nothing more is read."""
        try:
            while not self._holds and not self._closing and (event := self._parser.next_event()) is not None:
                if isinstance(event, Request):
                    self._queue(event)
                elif isinstance(event, Response):
                    self._questions.answered(event)
                elif isinstance(event, InterleavedChunk):
                    self._media_from_client(event)
        except RTSPParseError as error:
            log.info("a client sent something that is not RTSP", client=self.address, error=str(error))
            self._queue(error)
            self._hold(_Hold.NOT_RTSP)

    def _queue(self, request: Request | RTSPParseError) -> None:
        self._requests.append(request)
        self._body_bytes += len(request.body) if isinstance(request, Request) else 0
        if len(self._requests) >= MAX_PIPELINED or self._body_bytes >= MAX_PIPELINED_BYTES:
            self._hold(_Hold.REQUESTS)
        if self._worker is None:
            self._worker = asyncio.create_task(self._answer_all(), name=f"requests of {self.address}")

    async def _answer_all(self) -> None:
        try:
            while self._requests and not self._closing:
                request = self._requests.popleft()
                if isinstance(request, RTSPParseError):
                    self._send(_refusal(response_for(request.status, request.cseq), request).encode())
                    self._finish()
                    return
                self._body_bytes -= len(request.body)
                response = self._leg.answer(request, await self._answer(request))
                self._send(response.encode())
                self._expect_request()
                if len(self._requests) < MAX_PIPELINED and self._body_bytes < MAX_PIPELINED_BYTES:
                    self._release(_Hold.REQUESTS)
                if self._requests:
                    await asyncio.sleep(0)  # who asks without a pause gets no more turns than others
        except RTSPError:
            log.exception("an answer could not be written", client=self.address)
            self._abort()
        finally:
            self._worker = None

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler.handle(self._leg.receive(request))
        except RTSPError as error:
            self._log_refusal(request, error)
            return _refusal(respond(request, error.status), error)
        except Exception:
            log.exception("a request failed through a fault of this proxy", method=request.method)
            return respond(request, StatusCode.INTERNAL_SERVER_ERROR)

    def _log_refusal(self, request: Request, error: RTSPError) -> None:
        log.info(
            "request refused",
            client=self.address,
            method=request.method,
            url=shown_url(request.url),
            status=int(error.status),
            why=_reason(error),
            **({"camera": error.camera} if isinstance(error, UpstreamError) and error.camera else {}),
        )

    def _send(self, message: bytes) -> None:
        if self._transport is None or self._closing:
            return
        try:
            for data in self._outbox.message(message):
                self._transport.write(data)
        except OutboxFullError:
            self._abort()

    def _media_from_client(self, chunk: InterleavedChunk) -> None:
        for session in self._interleaved():
            session.media.from_client(chunk)

    def _interleaved(self) -> list[Session]:
        return [session for session in self.sessions if session.media.lower is LowerTransport.TCP]

    def _hold(self, why: _Hold) -> None:
        if not self._holds and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds.add(why)

    def _release(self, why: _Hold) -> None:
        if why in self._holds:
            self._holds.discard(why)
            self._take_events()
            if not self._holds and self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

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


def _reason(error: RTSPError) -> str:
    return str(error)[: 2 * MAX_SHOWN_URL]


def _refusal(response: Response, error: RTSPError) -> Response:
    """The reason where players show it, and where people read it."""
    response.headers.set("Content-Type", "text/plain; charset=utf-8")
    body = f"{_reason(error)}\r\n".encode("utf-8", "backslashreplace")
    return Response(status=response.status, reason=response.reason, headers=response.headers, body=body)
