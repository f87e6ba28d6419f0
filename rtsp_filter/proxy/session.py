"""One RTSP session through the mesh: its two legs, its tracks, its relays, and how it ends.

The session outlives the connection that made it: any connection that names it may go on with it. Whatever way it
ends, `end` gives back all that it holds: relays, the camera's session, the connection to the camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import Protocol

import structlog

from mesh.model import BackendTransport
from mesh.wire import relay_pb2
from rtsp_filter.proxy import transport
from rtsp_filter.proxy.endpoints import Endpoints
from rtsp_filter.proxy.forwarding import client_response, request_headers
from rtsp_filter.proxy.limits import TEARDOWN_TIMEOUT
from rtsp_filter.proxy.presentation import Presentation
from rtsp_filter.proxy.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.ways import Legs, Way, make_way
from rtsp_filter.relays import RelayClient
from rtsp_filter.routing import Answer, Decision, RouteRequest
from rtsp_filter.rtsp import (
    FrameAssembler,
    InterleavedChunk,
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    State,
    StatusCode,
    TransportError,
    TransportSpec,
    next_state,
    parse_transports,
    respond,
)

_BACKEND_TRANSPORTS = {BackendTransport.UDP: LowerTransport.UDP, BackendTransport.TCP: LowerTransport.TCP}
_REPORTED = {State.PLAYING: relay_pb2.PLAYING, State.RECORDING: relay_pb2.RECORDING}
# Answers to TEARDOWN that mean that the camera sends no more.
_STOPPED = (StatusCode.OK, StatusCode.SESSION_NOT_FOUND)

log = structlog.get_logger()


class Client(Protocol):
    """A client's connection, as sessions and requests need it. Addresses are IP addresses. `interleaved_only`: no media
    may reach the client beside this connection, which is encrypted, or all that gets through to it."""

    address: str
    local_address: str
    interleaved_only: bool
    sessions: set[Session]

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Pass interleaved frames on."""

    def write_frame(self, channel: int, payload: bytes) -> None:
        """Send one interleaved frame, or drop it whole where too much waits already."""

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
    """The proxy that sessions live in. `session_timeout` is in seconds; `udp_receivers` says which session's media goes
    to a client's address and port."""

    relays: RelayClient
    endpoints: Endpoints
    sessions: dict[str, Session]
    session_timeout: int
    udp_receivers: dict[tuple[str, int], Session]

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads."""

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
        """How the client gets its media."""
        self.upstream_lower: LowerTransport | None = None
        """How the camera sends it, once it has granted the first track."""
        self.state = State.INIT
        self.played = False
        self.ways: dict[str, Way] = {}
        self.ended = False
        self.ending: asyncio.Task[None] | None = None
        """What gives back everything, once it has begun."""
        self._busy = False  # with a SETUP
        self._farewell: list[tuple[str, str]] | None = None  # headers of the client's TEARDOWN
        self._client_frames = FrameAssembler()
        self._camera_frames = FrameAssembler()
        self._relays: set[str] = set()
        self._receivers: set[tuple[str, int]] = set()
        self._started = time.time()
        self.upstream.keepalive_url = self.presentation.upstream_aggregate
        self.upstream.on_closed = self._camera_gone
        self._media_client = client
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
        if upstream_url in self.ways or self._busy:
            raise RTSPError(
                "this track is set up already, or another one just now; transports are not changed in mid-session",
                status=StatusCode.METHOD_NOT_VALID_IN_THIS_STATE,
            )
        self._busy = True
        try:
            response = await self._set_up(request, spec, upstream_url, media)
        finally:
            self._busy = False
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
            self.played |= after in _REPORTED
            self._report()
            log.info(f"session is {after.value.lower()}", **self._identity())
        return client_response(request, response, self.presentation, [self.header])

    async def teardown(self, request: Request) -> Response:
        """The client ends the session; it is told so whatever the camera says, and may hang up meanwhile."""
        self._farewell = request_headers(request)
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
            self._free_ports()
            for way in self.ways.values():
                way.close()
            self._close_relays(stopped)
            self.host.relays.end_session(self.id, reason)
            self.host.session_ended(self)
            for client in self.clients:
                if self.lower is LowerTransport.TCP:
                    client.translate_channels(None)
                    client.camera_takes(True)
                client.session_over(self, reason, close=close_client)

    def _close_relays(self, camera_stopped: bool) -> None:
        """Give the relays back, each for what is known of its sender: the camera, this process, or the client."""
        client_stopped = self._farewell is not None
        quiet = {
            way.relay_id
            for way in self.ways.values()
            if way.sender_stopped(camera=camera_stopped, client=client_stopped)
        }
        known = {way.relay_id for way in self.ways.values()}
        if camera_stopped:
            quiet |= self._relays - known  # tracks on their way to being set up
        for relays, stopped in ((self._relays & quiet, True), (self._relays - quiet, False)):
            if relays:
                self.host.relays.close(relays, sender_stopped=stopped)

    async def _stop_camera(self) -> bool:
        """TEARDOWN; whether the camera confirmed that it sends no more, or never was asked to."""
        if self.upstream.core.session is None:
            return True
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(TEARDOWN_TIMEOUT):
                answer = await self.upstream.request(
                    Method.TEARDOWN, self.presentation.upstream_aggregate, headers=self._farewell or ()
                )
            return answer.status in _STOPPED
        return False

    async def _set_up(self, request: Request, spec: TransportSpec, upstream_url: str, media: str) -> Response:
        """Ask the camera for a track, by one transport after the other; the client's own stays as it is."""
        if spec.client_port is not None and spec.lower is LowerTransport.UDP:
            for port in spec.client_port:
                self._claim_port(port)
        lowers = self._upstream_lowers()
        for place, lower in enumerate(lowers):
            way = make_way(self._legs(), spec, lower, media)
            wanted = await self._prepared(way)
            try:
                response = await self._ask_setup(request, wanted, upstream_url)
                if response.status != StatusCode.OK:
                    self._drop(way)
                    if response.status == StatusCode.UNSUPPORTED_TRANSPORT and place + 1 < len(lowers):
                        log.info("the camera refused the transport", **self._identity(), refused=lower.value)
                        continue
                    return client_response(request, response, self.presentation, [])
                way = await self._as_granted(way, response, spec, lower, media)
                answer = await way.finish()
                self._check_alive()
            except BaseException:
                way.close()
                self.host.session_over(self, "a track could not be set up", close_client=False)
                raise
            self._use(upstream_url, way)
            return client_response(request, response, self.presentation, [("Transport", answer.encode()), self.header])
        raise AssertionError("there is always a transport to try")

    def _claim_port(self, port: int) -> None:
        """Two clients behind one address that name the same port would get each other's media, so the second one is
        refused; a first one that does not speak for its session any more gives way. Raises TransportError."""
        receiver = self.client_address, port
        other = self.host.udp_receivers.get(receiver)
        if other is not None and other is not self:
            if other.clients:
                raise TransportError(
                    f"another session of {self.client_address} has its media sent to UDP port {port}; use TCP"
                )
            self.host.session_over(other, "a new session of its client takes its ports")
        self.host.udp_receivers[receiver] = self
        self._receivers.add(receiver)

    def _free_ports(self) -> None:
        receivers = self.host.udp_receivers
        for receiver in self._receivers:
            if receivers.get(receiver) is self:
                del receivers[receiver]

    async def _prepared(self, way: Way) -> TransportSpec:
        """What to ask of the camera for a way."""
        try:
            wanted = await way.prepare()
            self._check_alive()
        except BaseException:
            self._drop(way)  # the camera was not asked
            raise
        return wanted

    async def _as_granted(
        self, way: Way, response: Response, spec: TransportSpec, asked: LowerTransport, media: str
    ) -> Way:
        """The way that fits what the camera granted: TCP where UDP was asked for is taken as it is."""
        specs = parse_transports(response.headers.get("Transport") or "")
        granted = specs[0] if specs else None
        if granted is not None and granted.lower is not asked:
            if LowerTransport.TCP not in self._upstream_lowers() or granted.interleaved is None:
                raise UpstreamError(f"the camera granted {granted.lower.value} where {asked.value} was asked for")
            self._drop(way)
            way = make_way(self._legs(), spec, granted.lower, media)
            await self._prepared(way)
        way.granted(granted)
        return way

    def _use(self, upstream_url: str, way: Way) -> None:
        """A track is set up: its media goes this way."""
        self.ways[upstream_url] = way
        self.upstream_lower = LowerTransport.UDP if way.camera_channels is None else LowerTransport.TCP
        if self.passes_through:
            self.upstream.on_media = self._media_client.write_media
            self.upstream.on_takes = self._media_client.camera_takes
            pairs = [
                (each.camera_channels, each.client_channels)
                for each in self.ways.values()
                if each.camera_channels is not None and each.client_channels is not None
            ]
            self.upstream.core.translate_channels(transport.channel_table(pairs))
            self._media_client.translate_channels(transport.channel_table((ours, camera) for camera, ours in pairs))
        elif self.upstream_lower is LowerTransport.TCP:
            self.upstream.on_media = self._media_from_camera
        log.debug("track set up", session=self.id, media=way.media, camera=self.upstream_lower.value)

    @property
    def passes_through(self) -> bool:
        """Whether both legs are TCP, so that frames pass without a look inside."""
        return self.lower is LowerTransport.TCP and self.upstream_lower is LowerTransport.TCP

    def media_from_client(self, chunk: InterleavedChunk) -> None:
        """What the client sent on the connection that carries its media."""
        if self.passes_through:
            self.upstream.send_media(chunk)
            return
        for channel, payload in self._client_frames.receive_chunk(chunk):
            for way in self.ways.values():
                if way.client_channels is not None and channel in way.client_channels:
                    way.from_client(way.client_channels.index(channel), payload)

    def _media_from_camera(self, chunk: InterleavedChunk) -> None:
        for channel, payload in self._camera_frames.receive_chunk(chunk):
            for way in self.ways.values():
                if way.camera_channels is not None and channel in way.camera_channels:
                    way.from_camera(way.camera_channels.index(channel), payload)

    def _upstream_lowers(self) -> list[LowerTransport]:
        """How the camera may send, the best first: as the backend says; as the client gets it, if nothing is said."""
        if self.upstream_lower is not None:
            return [self.upstream_lower]
        if self.decision.upstream.transport is not BackendTransport.AUTO:
            return [_BACKEND_TRANSPORTS[self.decision.upstream.transport]]
        other = LowerTransport.UDP if self.lower is LowerTransport.TCP else LowerTransport.TCP
        addresses = self.host.relays.media_addresses
        lowers = [self.lower, other]
        if addresses and not transport.reaches(addresses, self.upstream.peer_address):
            lowers.remove(LowerTransport.UDP)
        return lowers

    def _legs(self) -> Legs:
        ways = self.ways.values()
        return Legs(
            session_id=self.id,
            client_address=self.client_address,
            client=self._media_client,
            upstream=self.upstream,
            relays=self.host.relays,
            hold=self._relays.add,
            client_channels=tuple(way.client_channels for way in ways if way.client_channels is not None),
            camera_channels=tuple(way.camera_channels for way in ways if way.camera_channels is not None),
        )

    async def _ask_setup(self, request: Request, wanted: TransportSpec, upstream_url: str) -> Response:
        return await self.upstream.request(
            Method.SETUP, upstream_url, headers=[*request_headers(request), ("Transport", wanted.encode())]
        )

    def _drop(self, way: Way) -> None:
        """The camera does not have this track, so no sender sends to its relay."""
        way.close()
        if way.relay_id is not None:
            self._relays.discard(way.relay_id)
            self.host.relays.close([way.relay_id], sender_stopped=True)

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
                state=_REPORTED.get(self.state, relay_pb2.READY),
                media=[way.media for way in self.ways.values()],
                started_at=self._started,
            )
        )
