"""One RTSP session through the mesh: its client, its camera, its state, and how it ends.

The session outlives the connection that made it: any connection that names it may go on with it. Whatever way it
ends, `end` gives back all that it holds: relays, the camera's session, the connection to the camera.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Mapping

import structlog

from mesh.wire import relay_pb2
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.clients.gate import Owner
from rtsp_filter.proxy.clients.questions import answer_of
from rtsp_filter.proxy.limits import MAX_MOVES, MOVES_WINDOW, SILENT_AFTER
from rtsp_filter.proxy.sessions.continuation import STATES, continuation_of, state_of, transports_of
from rtsp_filter.proxy.sessions.failover import take_over
from rtsp_filter.proxy.sessions.forwarding import client_response, request_headers
from rtsp_filter.proxy.sessions.frames_watch import FramesWatch
from rtsp_filter.proxy.sessions.media import SessionMedia
from rtsp_filter.proxy.sessions.session_host import Client, Described, Host
from rtsp_filter.proxy.sessions.track_setup import set_up_track
from rtsp_filter.proxy.sessions.transport import CameraLeg, choose
from rtsp_filter.proxy.sessions.ways import resumed_way
from rtsp_filter.relays import Allocation
from rtsp_filter.rtsp import (
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    State,
    StatusCode,
    TransportSpec,
    next_state,
    respond,
)

_UNDER_WAY = (State.PLAYING, State.RECORDING)

log = structlog.get_logger()


class Session:
    """A client's session, from its first SETUP on."""

    def __init__(
        self, host: Host, described: Described, client: Client, lower: LowerTransport, *, session_id: str | None = None
    ) -> None:
        self.id = secrets.token_hex(8) if session_id is None else session_id
        self.host = host
        self.source = described
        """The camera: how its stream is shown, where the routes found it, the connection there."""
        self.clients: set[Client] = set()
        """Connections that speak for the session; over TCP, the one that its media runs on."""
        self.client_address = client.address
        self.media = SessionMedia(
            session_id=self.id,
            client=client,
            lower=lower,
            upstream=described.upstream,
            relays=host.relays,
            groups=host.camera_groups,
            movable=host.endpoints.moves_sessions(described.decision),
            source=host.endpoints.media_source(described.decision),
        )
        self.state = State.INIT
        self.played = False
        self.owner: Owner | None = None
        """Whose it is, where its route is for some users only."""
        self.ended = False
        self.ending: asyncio.Task[None] | None = None
        """What gives back everything, once it has begun."""
        self.stays = False
        """Whether it is of this proxy alone, so that no other one could go on with it."""
        self._busy = False  # with a SETUP
        self._moving: asyncio.Task[None] | None = None  # to another camera
        self._moves: deque[float] = deque(maxlen=MAX_MOVES)  # when
        self._again = False  # the camera may be asked for the stream again, which ended with another proxy
        self._others = False  # other cameras were asked, so this one may not be the only one that sends
        self._frames = FramesWatch(self.media.take_heard, self.silent)
        self._farewell: list[tuple[str, str]] | None = None  # headers of the client's TEARDOWN
        self._started = time.time()
        self._attach(described)

    def resume(self, told: relay_pb2.Session, allocations: Mapping[str, Allocation]) -> None:
        """Be what a session of another proxy was, whose relays have these ports. Raises RTSPError."""
        self._started, self._again = told.started_at, True
        self.state, self.played = state_of(told), told.continuation.played
        for each in told.continuation.ways:
            if each.relay_id not in allocations:
                raise RTSPError(f"the relay of its {each.media} is gone", status=StatusCode.SERVICE_UNAVAILABLE)
            client, camera = transports_of(each)
            way = resumed_way(
                self.media.legs(self.source.presentation.clock_rate(each.upstream_url)),
                client,
                camera,
                each.media,
                each.relay_id,
                allocations[each.relay_id],
            )
            self.media.use(each.upstream_url, way)
            for port in client.client_port or ():
                self.host.receiver_ports.claim(self, port)
        self.report()

    def _attach(self, source: Described) -> None:
        """This is the camera from now on."""
        self.source = source
        source.session = self
        source.upstream.keepalive_url = source.presentation.upstream_aggregate
        source.upstream.on_closed = self.camera_failed
        source.upstream.on_request = self._asked

    def join(self, client: Client) -> None:
        """A connection names the session, and speaks for it from now on; media over TCP stays where it is."""
        if self.media.lower is LowerTransport.UDP or not self.clients:
            self.clients.add(client)
            client.attach(self)
            self.host.session_resumed(self)

    @property
    def deserted(self) -> bool:
        """Whether no connection speaks for the session any more."""
        return not self.clients

    def give_way(self, reason: str) -> None:
        """Another session of its client takes its ports."""
        self.host.session_over(self, reason)

    @property
    def header(self) -> tuple[str, str]:
        """The Session header of every answer."""
        return "Session", SessionHeader(id=self.id, timeout=self.host.session_timeout).encode()

    def acceptable(self, offered: tuple[TransportSpec, ...]) -> TransportSpec:
        """The first offer that goes with the tracks that there are. Raises RTSPError."""
        return choose(offered, self.client_address, frozenset({self.media.lower}))

    async def setup(self, request: Request, spec: TransportSpec, upstream_url: str, medium: str) -> Response:
        """Set up one track. Raises RTSPError; once the camera may have the track, the whole session ends with that."""
        self.check_alive()
        after = next_state(self.state, Method.SETUP)
        if self._moving is not None:
            raise RTSPError("another camera is taking over; ask again", status=StatusCode.SERVICE_UNAVAILABLE)
        if upstream_url in self.media.ways or self._busy:
            raise RTSPError(
                "this track is set up already, or another one just now; transports are not changed in mid-session",
                status=StatusCode.METHOD_NOT_VALID_IN_THIS_STATE,
            )
        self._busy = True
        try:
            if spec.client_port is not None and spec.lower is LowerTransport.UDP:
                for port in spec.client_port:
                    self.host.receiver_ports.claim(self, port)
            response, answer = await set_up_track(self, request, spec, upstream_url, medium)
        finally:
            self._busy = False
        self.check_alive()
        headers = [] if answer is None else [("Transport", answer.encode()), self.header]
        if answer is not None:
            self.state = after
            self.report()
        return client_response(request, response, self.source.presentation, headers)

    async def forward(self, request: Request) -> Response:
        """Ask the camera the same; the session's state follows its answer."""
        self.check_alive()
        after = next_state(self.state, request.method)
        if after in _UNDER_WAY:
            await self._opened()
        response = await self._answered(request)
        if response.status == StatusCode.OK:
            self.become(after)
        return client_response(request, response, self.source.presentation, [self.header])

    async def _opened(self) -> None:
        """Relays open while tracks are set up; no camera sends, and no client, before they are. Raises RTSPError."""
        try:
            await self.media.opened()
        except RTSPError:
            self.broken()
            raise

    async def _answered(self, request: Request) -> Response:
        """What the camera says; where another one takes over meanwhile, what that one says."""
        while True:
            if self._moving is not None:
                await asyncio.wait([self._moving])
            self.check_alive()
            source, headers = self.source, request_headers(request)
            url = source.presentation.upstream(request.url)
            try:
                response = await source.upstream.request(request.method, url, headers=headers, body=request.body)
            except UpstreamError:
                if source is self.source and self._moving is None:
                    raise
            else:
                if source is self.source and self._moving is None:
                    return response

    def become(self, after: State) -> None:
        """The session's state is this from now on."""
        if after is not self.state:
            self.state = after
            self.played |= after in _UNDER_WAY
            self.report()
            self._watch()
            log.info(f"session is {after.value.lower()}", **self.identity)

    async def teardown(self, request: Request) -> Response:
        """The client ends the session; it is told so whatever the camera says, and may hang up meanwhile."""
        self._farewell = request_headers(request)
        await asyncio.shield(self.host.session_over(self, "the client ended it", close_client=False))
        return respond(request, StatusCode.OK, [("Session", self.id)])

    def check_alive(self) -> None:
        """Raises RTSPError when the session has ended meanwhile."""
        if self.ended:
            raise RTSPError("the session has just ended", status=StatusCode.SESSION_NOT_FOUND)

    def broken(self) -> None:
        """The camera may have a track that this side does not."""
        self.host.session_over(self, "a track could not be set up", close_client=False)

    def holds_relay(self, relay_id: str) -> bool:
        """Whether a relay is one of this session's."""
        return relay_id in self.media.relay_ids

    async def end(self, reason: str, *, close_client: bool = True) -> None:
        """Give back everything. Takes as long as the camera may take for TEARDOWN; a second call does nothing.

        Media goes on until the camera has answered, so that no client is left in the middle of a frame.
        """
        if not self._cease():
            return
        self.host.relays.end_session(self.id, reason)  # first, so that nobody goes on with it meanwhile
        if self._moving is not None:
            await asyncio.wait([self._moving])
        log.info("session ended", **self.identity, reason=reason, seconds=round(time.time() - self._started, 1))
        self.source.upstream.on_closed = None
        stopped = False
        try:
            stopped = await self.source.stop(self._farewell or ())
        finally:
            stopped = stopped and not self._others
            self.media.close(camera_stopped=stopped, client_stopped=self._farewell is not None)
            self._part(reason, close_client=close_client)

    @property
    def may_leave(self) -> bool:
        """Whether another proxy can be told how to go on with it."""
        return not self.ended and self.host.relays.connected and self._continuation() is not None

    def leave(self, reason: str, *, close_client: bool) -> None:
        """Another proxy goes on with the session: free what this process holds, without a word to the camera."""
        if not self._cease():
            return
        log.info("session left", **self.identity, reason=reason)
        self.media.leave()
        self.host.relays.leave_session(self.id)
        self._part(reason, close_client=close_client)

    def _cease(self) -> bool:
        """Begin to end, in either way; False where that has begun already."""
        if self.ended:
            return False
        self.ended = True
        self._frames.stop()
        if self._moving is not None:
            self._moving.cancel()
        return True

    def _part(self, reason: str, *, close_client: bool) -> None:
        """Part from the camera, the proxy and the client, once the media is let go."""
        self.source.upstream.close()
        self.host.receiver_ports.free(self)
        self.host.session_ended(self)
        for client in self.clients:
            if self.media.lower is LowerTransport.TCP:
                client.translate_channels(None)
                client.camera_takes(True)
            client.session_over(self, reason, close=close_client)

    def camera_failed(self, reason: str) -> None:
        """The camera is gone, or sends nothing: another one takes over where there may be one, or the session ends."""
        if self._moving is not None:
            return  # that is known, and being done something about
        if self._may_move():
            self._moving = self.host.keep(self._move(reason), f"move of {self.id}")
        else:
            self.host.session_over(self, reason)

    def _asked(self, request: Request) -> None:
        """The camera asks what only the client can answer."""
        self.host.keep(self._answer_camera(self.source, request), f"question of a camera in {self.id}")

    async def _answer_camera(self, source: Described, request: Request) -> None:
        client = next(iter(self.clients), None)
        source.upstream.respond(request, await answer_of(client, request, source.presentation, self.id))

    def silent(self, seconds: float) -> None:
        """No media has come for so long: of what is live, that is the camera's failure."""
        if self.source.presentation.live and self.state is State.PLAYING:
            self.host.endpoints.silent(self.source.decision, seconds)
            if self._may_move():
                self.camera_failed(f"no media came for {seconds:.0f} s")

    def _may_move(self) -> bool:
        return (
            self.state is State.PLAYING
            and not (self.ended or self._busy or self._moving)
            and self.source.presentation.live
            and not self.media.passes_through
            and (self._again or self.host.endpoints.moves_sessions(self.source.decision))
            and (len(self._moves) < MAX_MOVES or time.monotonic() - self._moves[0] > MOVES_WINDOW)
        )

    async def _move(self, reason: str) -> None:
        before, started = self.source, time.monotonic()
        log.warning("the camera of a session has failed", **self.identity, reason=reason)
        before.upstream.on_closed = None
        self._others = True
        self._frames.stop()
        try:
            source = await take_over(self, again=self._again)
        except Exception as error:
            if not isinstance(error, RTSPError):
                log.exception("a session could not move through a fault of this proxy", **self.identity)
            self.host.session_over(self, f"{reason}; {error}")
            return
        finally:
            self._moving, self._again = None, False
        self._moves.append(time.monotonic())
        self._attach(source)
        self.host.leave(before)
        self.host.endpoints.session_ended(self.id)
        self.host.endpoints.session_began(self.id, source.decision)
        self.report()
        self._watch()
        log.info("another camera has taken over", **self.identity, seconds=round(time.monotonic() - started, 3))
        if source.upstream.closed is not None:
            self.camera_failed(source.upstream.closed)

    @property
    def just_moved(self) -> bool:
        """Whether silence may still be that of the camera before."""
        return bool(self._moves) and time.monotonic() - self._moves[-1] < SILENT_AFTER

    def _watch(self) -> None:
        """Whether the camera should send, as it is now, over TCP."""
        if self.state is State.PLAYING and self.media.camera is CameraLeg.TCP:
            self._frames.begin()
        else:
            self._frames.stop()

    @property
    def identity(self) -> dict[str, str]:
        """What a log line says of the session."""
        return {
            "session": self.id,
            "url": self.source.presentation.client_url,
            "client": self.client_address,
            "camera": self.source.presentation.upstream_url,
            "transport": self.media.lower.value,
        }

    @property
    def transport(self) -> relay_pb2.SessionTransport:
        """How the client gets its media."""
        return relay_pb2.TCP if self.media.lower is LowerTransport.TCP else relay_pb2.UDP

    @property
    def tracks(self) -> list[str]:
        """What each track is that is set up."""
        return [way.media for way in self.media.ways.values()]

    def report(self) -> None:
        """Tell the control plane of the session, as it is then."""
        if not self.ended:
            self.host.relays.keep_session(self.id, self._described)

    def _described(self) -> relay_pb2.Session:
        decision, presentation = self.source.decision, self.source.presentation
        return relay_pb2.Session(
            session_id=self.id,
            client_address=self.client_address,
            url=presentation.client_url,
            upstream_url=presentation.upstream_url,
            route=decision.route,
            cluster=decision.cluster,
            endpoint=f"{decision.upstream.address}:{decision.upstream.port}",
            transport=self.transport,
            state=STATES.get(self.state, relay_pb2.READY),
            media=self.tracks,
            started_at=self._started,
            continuation=self._continuation(),
        )

    def _continuation(self) -> relay_pb2.Continuation | None:
        """How another proxy could go on."""
        if self.stays:
            return None
        return continuation_of(self.source, self.media.ways, played=self.played, owner=self.owner)
