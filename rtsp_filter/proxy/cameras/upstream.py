"""One connection to a camera: the asyncio shell of ClientCore, with keep-alives as its own business."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from rtsp_filter.proxy.cameras.camera_tunnel import open_tunnel
from rtsp_filter.proxy.cameras.trust import context_for, why_not_trusted
from rtsp_filter.proxy.clients.outbox import Outbox, OutboxFullError
from rtsp_filter.proxy.clients.tunnel import TunnelError
from rtsp_filter.proxy.limits import CONNECT_TIMEOUT, WRITE_BUFFER_BYTES
from rtsp_filter.proxy.sockets import plain_address, watch_peer
from rtsp_filter.relays.endpoint_book import Count, Tally
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.routes.header_changes import NO_CHANGES, MessageChanges
from rtsp_filter.rtsp import (
    ClientCore,
    Headers,
    InterleavedChunk,
    KeepaliveDue,
    Method,
    Payload,
    Request,
    RequestTimedOut,
    Response,
    ResponseReceived,
    RTSPError,
    RTSPParseError,
    ServerRequest,
    SessionHeader,
    StatusCode,
    encode_frames,
    respond,
)

# Seconds after which a camera that answers nothing, not even TCP, is gone: players, who give up after ten seconds
# without media, are told before.
DEAD_PEER_SECONDS = 8
# Bytes that wait for a camera. Media stops at WRITE_BUFFER_BYTES and a read of it, so what is beyond are answers to a
# camera that asks without end.
MOST_UNREAD_BYTES = 2 * WRITE_BUFFER_BYTES
# What cameras ask to see whether their client is there.
_SIGNS_OF_LIFE = (Method.GET_PARAMETER, Method.SET_PARAMETER)
_WRONG_PASSWORD = "the camera refuses the user name and the password that the mesh has for it"
_NOT_HERE = "the camera redirects to another port, which asks for a password; set its new address"
# What asyncio says where a name has several addresses, before it lists what became of each.
_SEVERAL_FAILED = "Multiple exceptions"


class UpstreamError(RTSPError):
    """The camera cannot be reached or does not answer; the status is what its client is told.

    `camera` is its host:port, for our own log: the client is not told.
    """

    status = StatusCode.BAD_GATEWAY

    def __init__(self, message: str, *, status: StatusCode | None = None, camera: str = "") -> None:
        super().__init__(message, status=status)
        self.camera = camera


class Upstream(asyncio.Protocol):
    """A connection to a camera, for at most one session.

    `on_media` gets interleaved chunks, `on_takes` whether the camera takes what it is sent, `on_request` what the
    camera asks and this proxy cannot answer by itself (`respond` answers it), `on_closed` the reason when the camera,
    or the network, ends the connection.
    """

    def __init__(self, access: Access = PLAIN) -> None:
        self.core = ClientCore(credentials=access.credentials)
        self.access = access
        self.on_media: Callable[[InterleavedChunk], None] | None = None
        self.on_takes: Callable[[bool], None] | None = None
        self.on_closed: Callable[[str], None] | None = None
        self.on_request: Callable[[Request], None] | None = None
        self.keepalive_url: str | None = None
        self.closed: str | None = None
        self.local_address = ""
        self.peer_address = ""
        self._changes = NO_CHANGES
        self.tally: Tally | None = None
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._keepalives: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._outbox = Outbox()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(
        cls, host: str, port: int, changes: MessageChanges = NO_CHANGES, access: Access = PLAIN, path: str = "/"
    ) -> Upstream:
        """A connection to the camera at `host` (address or name), with `changes` for all that is asked over it. `path`
        is what a tunnel is opened for.

        Raises UpstreamError with 502 or 504.
        """
        upstream = cls(access)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await upstream._open(host, port, path)
        except TimeoutError:
            raise UpstreamError(
                f"the camera did not answer within {CONNECT_TIMEOUT:.0f} s",
                status=StatusCode.GATEWAY_TIME_OUT,
                camera=f"{host}:{port}",
            ) from None
        except TunnelError as error:
            raise UpstreamError(f"the camera cannot be reached: {error}", camera=f"{host}:{port}") from error
        except OSError as error:
            reason = _why(error, access)
            raise UpstreamError(f"the camera cannot be reached: {reason}", camera=f"{host}:{port}") from error
        upstream._changes = changes
        return upstream

    def counted_in(self, tally: Tally) -> None:
        """Count in `tally`, that of the camera, what becomes of this connection."""
        if self.closed is None:
            self.tally = tally
            tally.count(Count.CONNECTIONS)
            tally.count(Count.OPENED_CONNECTIONS)

    def frames_dropped(self, number: int) -> None:
        """A client did not take so many of the camera's frames in time."""
        self._count(Count.FRAMES_DROPPED, number)

    async def _open(self, host: str, port: int, path: str) -> None:
        """Raises OSError, TunnelError."""
        tls = self.access.tls
        context = None if tls is None else context_for(tls)
        name = None if tls is None else tls.hostname

        async def dial(protocol: asyncio.Protocol) -> None:
            await self._loop.create_connection(lambda: protocol, host, port, ssl=context, server_hostname=name)

        if self.access.tunnelled:
            server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            credentials = self.access.credentials
            await open_tunnel(dial, self, server=server, path=path, credentials=credentials)
        else:
            await dial(self)

    async def request(
        self, method: str, url: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Ask the camera. Raises UpstreamError when it does not answer, is gone, or refuses the mesh's password."""
        if self.closed is not None:
            raise UpstreamError(self.closed)
        headers = self._changes.request(_without_password(headers) if self.access.knows_password else headers)
        handle = self.core.request(method, url, headers=headers, body=body, now=self._loop.time())
        future: asyncio.Future[Response] = self._loop.create_future()
        self._waiting[handle] = future
        self._flush()
        try:
            response = await future
        finally:
            self._waiting.pop(handle, None)
        if response.status == StatusCode.UNAUTHORIZED and self.access.knows_password:
            raise UpstreamError(_NOT_HERE if self.access.withheld else _WRONG_PASSWORD, camera=self.peer_address)
        if not self._changes.responses:
            return response
        return replace(response, headers=Headers(self._changes.response(response.headers.items())))

    def resume(self, session: SessionHeader, *, public: Iterable[str], version: str) -> None:
        """Go on with a session of the camera that another connection made."""
        self.core.resume(session, public=public, version=version, now=self._loop.time())
        self._flush()

    def respond(self, request: Request, response: Response) -> None:
        """Answer a request of the camera."""
        if self.closed is None:
            self.core.respond(request, response)
            self._flush()

    def send_media(self, chunk: InterleavedChunk) -> None:
        """Send interleaved frames."""
        if self._transport is not None and self.closed is None:
            for data in self._outbox.media(chunk):
                self._transport.write(data)

    def send_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        """Send an interleaved frame of each payload; what the camera does not take in time is dropped whole."""
        if self._transport is None or self.closed is not None:
            return
        if self._transport.get_write_buffer_size() < WRITE_BUFFER_BYTES:
            self._transport.write(encode_frames(channel, payloads))

    def close(self) -> None:
        """End the connection without a word to `on_closed`."""
        self.on_media = self.on_takes = self.on_request = self.on_closed = None
        self._end("the connection was closed")

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if transport.get_extra_info("peername") is None:  # it hung up already
            self._end("the camera closed the connection")
            return
        self.local_address = plain_address(transport.get_extra_info("sockname")[0])
        self.peer_address = plain_address(transport.get_extra_info("peername")[0])
        sock: socket.socket = transport.get_extra_info("socket")
        watch_peer(sock, DEAD_PEER_SECONDS)

    def data_received(self, data: bytes) -> None:
        try:
            self.core.receive_data(data, self._loop.time())
            self._take_events()
        except RTSPParseError as error:
            self._end(f"the camera sent something that is not RTSP: {error}")
            return
        self._flush()

    def pause_writing(self) -> None:
        if self.on_takes is not None:
            self.on_takes(False)

    def resume_writing(self) -> None:
        if self.on_takes is not None:
            self.on_takes(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the camera closed the connection{f' ({exc})' if exc else ''}")

    def _take_events(self) -> None:
        while self.closed is None and (event := self.core.next_event()) is not None:
            if isinstance(event, InterleavedChunk):
                if self.on_media is not None:
                    self.on_media(event)
            elif isinstance(event, ResponseReceived):
                self._answered(event)
            elif isinstance(event, RequestTimedOut):
                if event.handle in self._keepalives:
                    self._count(Count.FAILED_KEEPALIVES)
                self._end("the camera does not answer any more", StatusCode.GATEWAY_TIME_OUT)
            elif isinstance(event, KeepaliveDue):
                if self.keepalive_url is not None:
                    self._keepalives.add(self.core.keep_alive(self.keepalive_url, now=self._loop.time()))
                    self._count(Count.KEEPALIVES)
            elif isinstance(event, ServerRequest):
                self._asked(event.request, notice=event.notice)

    def _asked(self, request: Request, *, notice: bool) -> None:
        """A request of the camera (RFC 2326, section 10): a question for a sign of life is answered; after REDIRECT the
        session is over here, with a TEARDOWN, and whoever wants it sets it up anew. All else is for the client."""
        known = request.method == Method.REDIRECT or (request.method in _SIGNS_OF_LIFE and not request.body)
        if not known and self.on_request is not None:
            self.on_request(request)
            return
        known |= notice
        self.core.respond(request, respond(request, StatusCode.OK if known else StatusCode.NOT_IMPLEMENTED))
        if request.method == Method.REDIRECT and self.on_closed is not None:
            self.on_closed("the camera sends its clients elsewhere (REDIRECT)")

    def _answered(self, event: ResponseReceived) -> None:
        if event.handle in self._keepalives:
            self._keepalives.discard(event.handle)
            if event.response.status == StatusCode.SESSION_NOT_FOUND:
                self._count(Count.FAILED_KEEPALIVES)
                self._end("the camera has forgotten the session")
        elif (future := self._waiting.get(event.handle)) is not None and not future.done():
            future.set_result(event.response)

    def _flush(self) -> None:
        """Write what the core has to say, and wake it when it next wants to be."""
        if self.closed is not None or self._transport is None:
            return
        data = self.core.data_to_send()
        if data:
            try:
                for part in self._outbox.message(data):
                    self._transport.write(part)
            except OutboxFullError:
                self._end("the client stopped in the middle of an interleaved frame")
                return
            if self._transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
                self._end("the camera asks, and does not read the answers")
                return
        due = self.core.next_timer()
        if due is not None and (self._timer is None or due < self._wakes_at):
            self._set_timer(due)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = at
        self._timer = self._loop.call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self.core.handle_timer(self._loop.time())
        self._take_events()
        self._flush()

    def _count(self, what: Count, by: int = 1) -> None:
        if self.tally is not None:
            self.tally.count(what, by)

    def _end(self, reason: str, status: StatusCode = StatusCode.BAD_GATEWAY) -> None:
        if self.closed is not None:
            return
        self.closed = reason
        self._count(Count.CONNECTIONS, -1)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UpstreamError(reason, status=status))
        if self.on_closed is not None:
            self.on_closed(reason)


def _why(error: OSError, access: Access) -> str:
    """For players too: asyncio's own words have the camera's address in them, so they are not used."""
    if isinstance(error, ssl.SSLError) and access.tls is not None:
        return why_not_trusted(error, access.tls)
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if error.errno:
        return os.strerror(error.errno)
    if str(error).startswith(_SEVERAL_FAILED):
        return "none of its addresses answers"
    return str(error) or type(error).__name__


def _without_password(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a player tells the mesh is not for the camera."""
    return [(name, value) for name, value in headers if name.lower() != "authorization"]
