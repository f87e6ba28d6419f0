"""The camera's side of RTSP without I/O: requests in, responses and changes of sessions out.

The shell gives requests, receiver reports and lost connections, sends what `ended` sessions have left to say, and
follows the timers of those that changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from rtsp_filter.camera.description import describe, same_path, split_control
from rtsp_filter.camera.gate import gate_of
from rtsp_filter.camera.impairment import Impairment
from rtsp_filter.camera.negotiation import Peer, negotiate
from rtsp_filter.camera.session import (
    Batch,
    CameraSession,
    SessionTrack,
    SocketAddress,
    Target,
    TCPTarget,
    UDPTarget,
)
from rtsp_filter.camera.settings import CameraSettings
from rtsp_filter.camera.stream import TrackStream
from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import (
    RTSPURL,
    Method,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    State,
    StateError,
    StatusCode,
    UnauthorizedError,
    encode_rtp_info,
    next_state,
    respond,
)

SERVER_NAME = "media-streaming-mesh camera"

MAX_SESSIONS = 4096
"""A bound on memory, far above what one process can send."""

_ID_BYTES = 8

_ReceiverKey = tuple[str, int] | tuple[int, int]
"""An address and port, or a connection and channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """The session's `next_timer` may be another."""

    session: CameraSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """Nothing more is to be sent for the session after `farewell`, which goes before the response."""

    session: CameraSession
    farewell: list[Batch]


CameraEvent = SessionChanged | SessionEnded


class CameraCore:
    """All sessions of one camera. `unix_offset` is added to `now` to get seconds since 1970."""

    def __init__(self, settings: CameraSettings, clip: Clip, *, unix_offset: float) -> None:
        self.sessions: dict[str, CameraSession] = {}
        self._settings = settings
        self._clip = clip
        self._gate = gate_of(settings.user)
        self._unix_offset = unix_offset
        self._receivers: dict[_ReceiverKey, tuple[CameraSession, SessionTrack]] = {}
        self._events: list[CameraEvent] = []
        self._handlers: dict[str, Callable[[Request, Peer, float], Response]] = {
            Method.OPTIONS: self._options,
            Method.DESCRIBE: self._describe,
            Method.SETUP: self._setup,
            Method.PLAY: self._play,
            Method.PAUSE: self._pause,
            Method.TEARDOWN: self._teardown,
            Method.GET_PARAMETER: self._parameter,
            Method.SET_PARAMETER: self._parameter,
        }

    def handle(self, request: Request, peer: Peer, now: float) -> Response:
        """The response to a request. Errors become responses too."""
        try:
            self._check_user(request, peer, now)
            response = self._dispatch(request, peer, now)
        except UnauthorizedError as error:
            response = respond(request, error.status, error.headers)
        except RTSPError as error:
            response = respond(request, error.status)
        response.headers.add("Server", SERVER_NAME)
        return response

    def take_events(self) -> list[CameraEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def receive_udp_report(self, data: bytes, source: SocketAddress, now: float) -> None:
        """RTCP came from this address; from one that no track goes to, it is ignored."""
        self._receive_report(source[:2], data, now)

    def receive_frame(self, connection: int, channel: int, data: bytes, now: float) -> None:
        """An interleaved frame came; those on RTCP channels of a session are reports."""
        self._receive_report((connection, channel), data, now)

    def connection_lost(self, connection: int, now: float) -> None:
        """End the sessions whose media went over this connection; others live on until their time-out."""
        for session in list(self.sessions.values()):
            if connection in session.connections:
                self._end(session, now)

    def expire(self, now: float) -> None:
        """End the sessions that were silent for longer than the time-out (RFC 2326, 12.37). Those over TCP live as
        long as their connection."""
        for session in list(self.sessions.values()):
            if not session.connections and now - session.last_active > self._settings.session_timeout:
                self._end(session, now)

    def end_all(self, now: float) -> None:
        """End every session."""
        for session in list(self.sessions.values()):
            self._end(session, now)

    def _dispatch(self, request: Request, peer: Peer, now: float) -> Response:
        handler = self._handlers.get(request.method)
        if handler is None:
            known = request.method in set(Method)
            status = StatusCode.METHOD_NOT_ALLOWED if known else StatusCode.NOT_IMPLEMENTED
            return respond(request, status, [("Allow", self._public)])
        if required := request.headers.get("Require"):
            return respond(request, StatusCode.OPTION_NOT_SUPPORTED, [("Unsupported", required)])
        session = self._session(request)
        if session is not None:
            session.last_active = now
        return handler(request, peer, now)

    def _check_user(self, request: Request, peer: Peer, now: float) -> None:
        """Raises UnauthorizedError. What a server can do is free to ask."""
        if self._gate is not None and request.method != Method.OPTIONS:
            self._gate.user(request, str(peer.remote[0]), now)

    @property
    def _public(self) -> str:
        return ", ".join(self._handlers)

    def _session(self, request: Request) -> CameraSession | None:
        """The session that a request names. Raises RTSPError (454) for one that is not there."""
        header = request.headers.get("Session")
        if header is None:
            return None
        session = self.sessions.get(SessionHeader.parse(header).id)
        if session is None:
            raise RTSPError("no such session", status=StatusCode.SESSION_NOT_FOUND)
        return session

    def _receive_report(self, key: _ReceiverKey, data: bytes, now: float) -> None:
        session, track = self._receivers.get(key, (None, None))
        if session is not None and track is not None:
            session.last_active = now
            track.stream.receive_report(data, now)

    def _options(self, request: Request, peer: Peer, now: float) -> Response:
        return respond(request, StatusCode.OK, [("Public", self._public)])

    def _describe(self, request: Request, peer: Peer, now: float) -> Response:
        self._check_path(split_control(request.url)[0])
        url = str(RTSPURL.parse(request.url).without_userinfo())
        headers = [
            ("Content-Base", url if url.endswith("/") else f"{url}/"),
            ("Content-Type", "application/sdp"),
        ]
        return respond(request, StatusCode.OK, headers, describe(self._clip, peer.local))

    def _setup(self, request: Request, peer: Peer, now: float) -> Response:
        path, number = split_control(request.url)
        self._check_path(path)
        if number is None:
            raise RTSPError("SETUP takes one track", status=StatusCode.AGGREGATE_OPERATION_NOT_ALLOWED)
        if number >= len(self._clip.tracks):
            raise RTSPError(f"no track {number}", status=StatusCode.NOT_FOUND)
        session = self._session(request) or self._new_session(path, now)
        if session.state is State.PLAYING:
            raise StateError("tracks are set up before PLAY")
        stream = self._new_stream(session, number)
        taken = self._taken_channels(peer.connection, session, number)
        target, transport = negotiate(request.headers.get("Transport") or "", peer, taken, stream.ssrc)
        self._forget_receiver(session, number)
        track = SessionTrack(url=request.url, stream=stream, target=target)
        session.tracks[number] = track
        session.state = next_state(session.state, Method.SETUP)
        self.sessions[session.id] = session
        self._receivers[_receiver_key(target)] = (session, track)
        return self._respond(request, session, ("Transport", transport.encode()))

    def _play(self, request: Request, peer: Peer, now: float) -> Response:
        session, state = self._control(request)
        info = encode_rtp_info(session.rtp_info())
        if session.state is not State.PLAYING:
            session.state = state
            session.play(now)
            self._events.append(SessionChanged(session=session))
        return self._respond(request, session, ("RTP-Info", info))

    def _pause(self, request: Request, peer: Peer, now: float) -> Response:
        session, state = self._control(request)
        session.state = state
        session.pause(now)
        self._events.append(SessionChanged(session=session))
        return self._respond(request, session)

    def _teardown(self, request: Request, peer: Peer, now: float) -> Response:
        session, _ = self._control(request)
        self._end(session, now)
        return respond(request, StatusCode.OK)

    def _parameter(self, request: Request, peer: Peer, now: float) -> Response:
        if request.body.strip():
            raise RTSPError("the camera has no parameters", status=StatusCode.PARAMETER_NOT_UNDERSTOOD)
        session = self._session(request)
        return self._respond(request, session) if session else respond(request, StatusCode.OK)

    def _control(self, request: Request) -> tuple[CameraSession, State]:
        """The session to control and its state after that. Raises RTSPError for no session, a state that does not
        allow the method, or a single track of several."""
        session = self._session(request)
        if session is None:
            raise RTSPError("no session named", status=StatusCode.SESSION_NOT_FOUND)
        if split_control(request.url)[1] is not None and len(session.tracks) > 1:
            raise RTSPError("tracks play together", status=StatusCode.ONLY_AGGREGATE_OPERATION_ALLOWED)
        return session, next_state(session.state, request.method)

    def _respond(self, request: Request, session: CameraSession, *headers: tuple[str, str]) -> Response:
        header = SessionHeader(id=session.id, timeout=self._settings.session_timeout)
        return respond(request, StatusCode.OK, [("Session", header.encode()), *headers])

    def _check_path(self, target: str) -> None:
        if self._settings.path is not None and not same_path(self._settings.path, target):
            raise RTSPError(f"only {self._settings.path} is here", status=StatusCode.NOT_FOUND)

    def _new_session(self, path: str, now: float) -> CameraSession:
        if len(self.sessions) >= MAX_SESSIONS:
            raise RTSPError("too many sessions", status=StatusCode.NOT_ENOUGH_BANDWIDTH)
        session_id, cname = (secrets.token_hex(_ID_BYTES) for _ in range(2))
        return CameraSession(id=session_id, cname=cname, path=path, last_active=now)

    def _new_stream(self, session: CameraSession, number: int) -> TrackStream:
        return TrackStream(
            self._clip.tracks[number],
            impairment=Impairment.of(self._settings, number),
            cname=session.cname,
            unix_offset=self._unix_offset,
        )

    def _taken_channels(self, connection: int, session: CameraSession, number: int) -> set[int]:
        """Channels of this connection, but for those of the track that is set up anew."""
        mine = session.tracks.get(number)
        targets = (track.target for _, track in self._receivers.values() if track is not mine)
        used = (t.channels for t in targets if isinstance(t, TCPTarget) and t.connection == connection)
        return set(chain.from_iterable(used))

    def _forget_receiver(self, session: CameraSession, number: int) -> None:
        track = session.tracks.get(number)
        if track is not None:
            self._receivers.pop(_receiver_key(track.target), None)

    def _end(self, session: CameraSession, now: float) -> None:
        farewell = session.goodbye(now) if session.state is State.PLAYING else []
        for number in session.tracks:
            self._forget_receiver(session, number)
        session.state = State.INIT
        del self.sessions[session.id]
        self._events.append(SessionEnded(session=session, farewell=farewell))


def _receiver_key(target: Target) -> _ReceiverKey:
    """Where reports on this target come from."""
    if isinstance(target, UDPTarget):
        return target.rtcp[:2]
    return (target.connection, target.channels.rtcp)
