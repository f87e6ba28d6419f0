"""One RTSP session through the mesh: its two legs, its tracks, its relays, and how it ends.

The session outlives the connection that made it: any connection that names it may go on with it. Whatever way it
ends, `end` gives back all that it holds: relays, the camera's session, the connection to the camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from mesh.wire import relay_pb2
from rtsp_filter.proxy import transport
from rtsp_filter.proxy.forwarding import client_response, request_headers
from rtsp_filter.proxy.limits import TEARDOWN_TIMEOUT
from rtsp_filter.proxy.presentation import Presentation
from rtsp_filter.proxy.upstream import Upstream, UpstreamError
from rtsp_filter.relays import Receiver, Relay, RelayClient, RelayError, RelayFailure
from rtsp_filter.routing import Decision, NoRoute
from rtsp_filter.rtsp import (
    RTSPURL,
    InterleavedChunk,
    LowerTransport,
    Method,
    Pair,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    State,
    StatusCode,
    TransportSpec,
    next_state,
    parse_transports,
    respond,
)

# A relay that cannot be had, in RTSP's terms (RFC 2326 section 11.3).
_RELAY_STATUS = {
    RelayFailure.NO_FREE_SLOT: StatusCode.NOT_ENOUGH_BANDWIDTH,
    RelayFailure.MEDIA_PROXY_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.CONTROL_PLANE_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.REFUSED: StatusCode.SERVICE_UNAVAILABLE,
}
# Answers to TEARDOWN that mean that the camera sends no more.
_STOPPED = (StatusCode.OK, StatusCode.SESSION_NOT_FOUND)

log = structlog.get_logger()

T = TypeVar("T")


class Client(Protocol):
    """A client's connection, as sessions and requests need it. Addresses are IP addresses."""

    address: str
    local_address: str
    sessions: set[Session]

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Pass interleaved frames on."""

    def translate_channels(self, table: bytes | None) -> None:
        """Number the channels of the client's frames as its camera does."""

    def camera_takes(self, takes: bool) -> None:
        """Whether the camera takes what this client sends."""

    def attach(self, session: Session) -> None:
        """Speak for `session` too."""

    def session_over(self, session: Session, reason: str, *, close: bool) -> None:
        """A session is over; close the connection if that is to be and no other session needs it."""

    def has_interleaved_session(self) -> bool:
        """Whether a session's media already runs on this connection."""


class Host(Protocol):
    """The proxy that sessions live in. `session_timeout` is in seconds."""

    relays: RelayClient
    sessions: dict[str, Session]
    session_timeout: int

    def decide(self, url: RTSPURL) -> Decision | NoRoute:
        """Where a URL leads."""

    def new_session(self, described: Described, client: Client, lower: LowerTransport) -> Session:
        """A session that is about to be set up. Raises RTSPError when there are too many."""

    def session_resumed(self, session: Session) -> None:
        """A connection speaks for the session (again)."""

    def session_over(self, session: Session, reason: str, *, close_client: bool = True) -> asyncio.Task[None]:
        """End the session, whatever becomes of the caller."""

    def session_ended(self, session: Session) -> None:
        """The session has ended and holds nothing any more."""


@dataclass(slots=True, kw_only=True)
class Described:
    """A stream that a connection has asked about: how it is shown, where it leads, and the open connection there."""

    presentation: Presentation
    decision: Decision
    upstream: Upstream
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One track that is set up; `relay_id` in UDP, `channels` (camera's, client's) in TCP."""

    media: str
    upstream_url: str
    relay_id: str | None = None
    channels: tuple[Pair, Pair] | None = None


class Session:
    """A client's session, from its first SETUP on."""

    def __init__(self, host: Host, described: Described, client: Client, lower: LowerTransport) -> None:
        self.id = secrets.token_hex(8)
        self.host = host
        self.presentation = described.presentation
        self.decision = described.decision
        self.upstream = described.upstream
        self.clients: set[Client] = set()
        """Connections that speak for the session; over TCP, the one that its media runs on."""
        self.client_address = client.address
        self.lower = lower
        self.state = State.INIT
        self.played = False
        self.legs: dict[str, Leg] = {}
        self.ended = False
        self._relays: set[str] = set()
        self._started = time.time()
        self.upstream.keepalive_url = self.presentation.upstream_aggregate
        self.upstream.on_closed = self._camera_gone
        if lower is LowerTransport.TCP:
            self.upstream.on_media = client.write_media
            self.upstream.on_takes = client.camera_takes
        self.join(client)

    def join(self, client: Client) -> None:
        """A connection names the session, and speaks for it from now on; media over TCP stays where it is."""
        if self.lower is LowerTransport.UDP or not self.clients:
            self.clients.add(client)
            client.attach(self)
            self.host.session_resumed(self)

    @property
    def header(self) -> tuple[str, str]:
        """The Session header of every answer."""
        return "Session", SessionHeader(id=self.id, timeout=self.host.session_timeout).encode()

    async def setup(self, request: Request, spec: TransportSpec, upstream_url: str, media: str) -> Response:
        """Set up one track. Raises RTSPError; once the camera may have the track, the whole session ends with that."""
        self._check_alive()
        after = next_state(self.state, Method.SETUP)
        if upstream_url in self.legs:
            raise RTSPError(
                "this track is set up already; transports are not changed in mid-session",
                status=StatusCode.METHOD_NOT_VALID_IN_THIS_STATE,
            )
        if spec.lower is LowerTransport.UDP:
            response = await self._setup_udp(request, spec, upstream_url, media)
        else:
            response = await self._setup_tcp(request, spec, upstream_url, media)
        self._check_alive()
        if response.status == StatusCode.OK:
            self.state = after
            self._report()
        return response

    async def forward(self, request: Request) -> Response:
        """Ask the camera the same; the session's state follows its answer."""
        self._check_alive()
        after = next_state(self.state, request.method)
        response = await self.upstream.request(
            request.method,
            self.presentation.upstream(request.url),
            headers=request_headers(request),
            body=request.body,
        )
        if response.status == StatusCode.OK and after is not self.state:
            self.state = after
            self.played |= after is State.PLAYING
            self._report()
            log.info(f"session is {after.value.lower()}", **self._identity())
        return client_response(request, response, self.presentation, [self.header])

    async def teardown(self, request: Request) -> Response:
        """The client ends the session; it is told so whatever the camera says, and may hang up meanwhile."""
        await asyncio.shield(self.host.session_over(self, "the client ended it", close_client=False))
        return respond(request, StatusCode.OK, [("Session", self.id)])

    def _check_alive(self) -> None:
        if self.ended:
            raise RTSPError("the session has just ended", status=StatusCode.SESSION_NOT_FOUND)

    def holds_relay(self, relay_id: str) -> bool:
        """Whether a relay is one of this session's."""
        return relay_id in self._relays

    async def end(self, reason: str, *, close_client: bool = True) -> None:
        """Give back everything. Takes TEARDOWN_TIMEOUT at most; a second call does nothing.

        Media goes on until the camera has answered, so that no client is left in the middle of a frame.
        """
        if self.ended:
            return
        self.ended = True
        log.info("session ended", **self._identity(), reason=reason, seconds=round(time.time() - self._started, 1))
        self.upstream.on_closed = None
        stopped = False
        try:
            stopped = await self._stop_camera()
        finally:
            self.upstream.close()
            if self._relays:
                self.host.relays.close(self._relays, sender_stopped=stopped)
            self.host.relays.end_session(self.id, reason)
            self.host.session_ended(self)
            for client in self.clients:
                client.translate_channels(None)
                client.camera_takes(True)
                client.session_over(self, reason, close=close_client)

    async def _stop_camera(self) -> bool:
        """TEARDOWN; whether the camera confirmed that it sends no more, or never was asked to."""
        if self.upstream.core.session is None:
            return True
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(TEARDOWN_TIMEOUT):
                answer = await self.upstream.request(Method.TEARDOWN, self.presentation.upstream_aggregate)
            return answer.status in _STOPPED
        return False

    async def _setup_udp(self, request: Request, spec: TransportSpec, upstream_url: str, media: str) -> Response:
        """The camera is asked while the media proxy still learns of the relay: the answer waits for both."""
        assert spec.client_port is not None
        receiver = Receiver(address=self.client_address, rtp_port=spec.client_port.rtp, rtcp_port=spec.client_port.rtcp)
        relay = self.host.relays.open(self.id, media, receiver)
        self._relays.add(relay.relay_id)
        try:
            allocation = await _opened(relay.allocated)
            wanted = transport.upstream_udp(spec, allocation, self.upstream.local_address, self.upstream.peer_address)
            transport.answer_udp(spec, None, allocation, self.client_address)
        except BaseException:
            self._drop_relay(relay)  # the camera was not asked
            raise
        try:
            response = await self._ask_setup(request, wanted, upstream_url)
            if response.status != StatusCode.OK:
                self._drop_relay(relay)
                return client_response(request, response, self.presentation, [])
            granted = _granted(response, LowerTransport.UDP)
            await _opened(relay.ready)
        except BaseException:
            self.host.session_over(self, "a track could not be set up", close_client=False)
            raise
        self.legs[upstream_url] = Leg(media=media, upstream_url=upstream_url, relay_id=relay.relay_id)
        log.debug("relay open", session=self.id, media=media, slot=allocation.slot, camera=granted and granted.encode())
        answer = transport.answer_udp(spec, granted, allocation, self.client_address)
        return client_response(request, response, self.presentation, [("Transport", answer.encode()), self.header])

    async def _setup_tcp(self, request: Request, spec: TransportSpec, upstream_url: str, media: str) -> Response:
        pair = transport.channels(spec, self._client_channels())
        response = await self._ask_setup(request, transport.upstream_tcp(spec, pair), upstream_url)
        if response.status != StatusCode.OK:
            return client_response(request, response, self.presentation, [])
        try:
            granted = _granted(response, LowerTransport.TCP)
        except UpstreamError:
            self.host.session_over(self, "a track could not be set up", close_client=False)
            raise
        theirs = granted.interleaved if granted is not None and granted.interleaved is not None else pair
        self.legs[upstream_url] = Leg(media=media, upstream_url=upstream_url, channels=(theirs, pair))
        pairs = [leg.channels for leg in self.legs.values() if leg.channels is not None]
        self.upstream.core.translate_channels(transport.channel_table(pairs))
        for client in self.clients:
            client.translate_channels(transport.channel_table((ours, camera) for camera, ours in pairs))
        answer = transport.answer_tcp(spec, granted, pair)
        return client_response(request, response, self.presentation, [("Transport", answer.encode()), self.header])

    async def _ask_setup(self, request: Request, wanted: TransportSpec, upstream_url: str) -> Response:
        return await self.upstream.request(
            Method.SETUP, upstream_url, headers=[*request_headers(request), ("Transport", wanted.encode())]
        )

    def _client_channels(self) -> Iterable[Pair]:
        return (leg.channels[1] for leg in self.legs.values() if leg.channels is not None)

    def _drop_relay(self, relay: Relay) -> None:
        """The camera does not have this track, so no sender sends to it."""
        self._relays.discard(relay.relay_id)
        self.host.relays.close([relay.relay_id], sender_stopped=True)

    def _camera_gone(self, reason: str) -> None:
        self.host.session_over(self, reason)

    def _identity(self) -> dict[str, str]:
        """What a log line says of the session."""
        return {
            "session": self.id,
            "url": self.presentation.client_url,
            "client": self.client_address,
            "camera": self.presentation.upstream_url,
            "transport": self.lower.value,
        }

    def _report(self) -> None:
        endpoint = self.decision.upstream
        self.host.relays.keep_session(
            relay_pb2.Session(
                session_id=self.id,
                client_address=self.client_address,
                url=self.presentation.client_url,
                upstream_url=self.presentation.upstream_url,
                route=self.decision.route,
                cluster=self.decision.cluster,
                endpoint=f"{endpoint.address}:{endpoint.port}",
                transport=relay_pb2.TCP if self.lower is LowerTransport.TCP else relay_pb2.UDP,
                state=relay_pb2.PLAYING if self.state is State.PLAYING else relay_pb2.READY,
                media=[leg.media for leg in self.legs.values()],
                started_at=self._started,
            )
        )


async def _opened(future: asyncio.Future[T]) -> T:
    """A relay's next step. Raises RTSPError in place of RelayError."""
    try:
        return await future
    except RelayError as error:
        raise RTSPError(str(error), status=_RELAY_STATUS[error.reason]) from error


def _granted(response: Response, lower: LowerTransport) -> TransportSpec | None:
    """What a camera granted; some say nothing. Raises UpstreamError for what was not asked for."""
    specs = parse_transports(response.headers.get("Transport") or "")
    if specs and specs[0].lower is not lower:
        raise UpstreamError(f"the camera granted {specs[0].lower.value} where {lower.value} was asked for")
    return specs[0] if specs else None
