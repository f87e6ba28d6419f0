"""One RTSP connection as its requester sees it, without I/O: bytes and time in, bytes and events out.

`request` queues bytes for `data_to_send` and returns a handle, which the response event carries, also when the
request had to be repeated with credentials. Timers: whatever `next_timer` says, call `handle_timer` then.

It speaks RTSP 1.0 until the server refuses that and names 2.0; all that goes in and comes out has the shape of 1.0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rtsp_filter.rtsp.auth import Authenticator, Credentials
from rtsp_filter.rtsp.errors import RTSPError
from rtsp_filter.rtsp.head import BOTH_VERSIONS
from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.messages import RTSP_VERSION, RTSP_VERSION_2, InterleavedChunk, Method, Request, Response, respond
from rtsp_filter.rtsp.parser import Parser
from rtsp_filter.rtsp.session_header import DEFAULT_SESSION_TIMEOUT, SessionHeader
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.version2.camera_leg import CameraLeg
from rtsp_filter.rtsp.version2.notify import PLAY_NOTIFY, PlayNotify

USER_AGENT = "media-streaming-mesh"

RESPONSE_TIMEOUT = 10.0
"""Seconds to wait for a response: what ffmpeg and GStreamer users see as "does not answer", with room for a camera
that wakes its encoder at PLAY."""

KEEPALIVE_SHARE = 0.5
"""Of the session time-out, after which a silent session is refreshed: one keep-alive may be lost or late."""

MAX_TIMED_OUT = 16
"""Numbers of requests that were given up and may still be answered: more than anybody has on the way at once."""

_FINAL = 200
_NOT_OFFERED = (StatusCode.METHOD_NOT_ALLOWED, StatusCode.NOT_IMPLEMENTED)
# Cameras list GET_PARAMETER and then refuse one without a body in these words.
_NO_PING = (*_NOT_OFFERED, StatusCode.BAD_REQUEST, StatusCode.PARAMETER_NOT_UNDERSTOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReceived:
    """The final response to the request of this handle. `request` is as it was last sent."""

    handle: int
    request: Request
    response: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimedOut:
    """No response came in time. A late one will be ignored."""

    handle: int
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """The server asks; answer with `ClientCore.respond`. OPTIONS and what is wrong have been answered already and are
    no events. A `notice` (PLAY_NOTIFY of RTSP 2.0) only tells: whoever needs it not answers 200."""

    request: Request

    @property
    def notice(self) -> bool:
        return self.request.method == PLAY_NOTIFY and self.request.version == RTSP_VERSION_2


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveDue:
    """The session will be given up by the server unless it hears of us: call `ClientCore.keep_alive`."""


ClientEvent = ResponseReceived | RequestTimedOut | ServerRequest | KeepaliveDue | InterleavedChunk


@dataclass(slots=True, kw_only=True)
class _Pending:
    """A request as it was asked for and as it was last sent, in which version."""

    handle: int
    asked: Request
    sent: Request
    version: str = RTSP_VERSION
    deadline: float = 0.0
    challenged: bool = False
    renewed: bool = False


class ClientCore:
    """Requester on one connection, for at most one session."""

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        user_agent: str = USER_AGENT,
        response_timeout: float = RESPONSE_TIMEOUT,
    ) -> None:
        self.session: SessionHeader | None = None
        """What the server last said of the session that SETUP made; None before and after it."""
        self.public: frozenset[str] = frozenset()
        """Methods that the server has offered (Public, RFC 2326, 12.28); empty where it has not said."""
        self._user_agent = user_agent
        self._response_timeout = response_timeout
        self._authenticator = Authenticator(credentials) if credentials else None
        self._parser = Parser(versions=BOTH_VERSIONS)
        self._version = RTSP_VERSION
        self._leg = CameraLeg()
        self._pending: dict[int, _Pending] = {}
        self._timed_out: deque[int] = deque(maxlen=MAX_TIMED_OUT)
        self._events: deque[ClientEvent] = deque()
        self._output = bytearray()
        self._cseq = 0
        self._keepalive_due: float | None = None
        self._now = 0.0

    @property
    def version(self) -> str:
        """What is spoken with the server now."""
        return self._version

    def resume(self, session: SessionHeader, *, public: Iterable[str], version: str, now: float) -> None:
        """Go on with a session that another connection made."""
        self.session = session
        self.public = frozenset(public)
        self._version = version
        self._restart_keepalive(now)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> int:
        """Queue a request; returns its handle. CSeq, User-Agent, Session and Authorization are added.

        Headers given here win over those. Raises LocalError for a line end in any part.
        """
        request = Request(method=method, url=url, headers=Headers(headers), body=body)
        pending = _Pending(handle=self._cseq + 1, asked=request, sent=request)
        self._send(pending, now)
        return pending.handle

    def respond(self, request: Request, response: Response) -> None:
        """Queue the answer to a request of the server. It gets the CSeq of that request."""
        headers = response.headers.copy()
        headers.set("CSeq", str(request.cseq))
        self._output += replace(response, headers=headers, version=request.version).encode()

    def keep_alive(self, url: str, *, now: float) -> int:
        """Queue what refreshes the session: GET_PARAMETER where the server offers it, else OPTIONS. Its response is
        an event like any other; 454 there means that the session is gone."""
        method = Method.GET_PARAMETER if Method.GET_PARAMETER in self.public else Method.OPTIONS
        return self.request(method, url, now=now)

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def translate_channels(self, table: bytes | None) -> None:
        """See Parser.translate_channels."""
        self._parser.translate_channels(table)

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Take what the connection gave, then call `next_event` until None, and send `data_to_send`; `data` must not
        change before. Raises RTSPParseError when the stream is no RTSP."""
        self._now = now
        self._parser.receive_data(data)

    def next_event(self) -> ClientEvent | None:
        """The next event; None when more data is needed. Raises RTSPParseError as `receive_data` does."""
        while not self._events:
            event = self._parser.next_event()
            if event is None:
                return None
            if isinstance(event, InterleavedChunk):
                return event
            if isinstance(event, Request):
                self._receive_request(event)
            else:
                self._receive_response(event)
        return self._events.popleft()

    @property
    def keepalive_due(self) -> float | None:
        """When the session must be refreshed; None without a session."""
        return self._keepalive_due if self.session is not None else None

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called; None: not before something else happens."""
        times = [pending.deadline for pending in self._pending.values()]
        if self.keepalive_due is not None:
            times.append(self.keepalive_due)
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Turn what is due into events."""
        for cseq, pending in list(self._pending.items()):
            if pending.deadline <= now:
                del self._pending[cseq]
                self._timed_out.append(cseq)
                self._events.append(RequestTimedOut(handle=pending.handle, request=pending.sent))
        if self.keepalive_due is not None and self.keepalive_due <= now:
            self._restart_keepalive(now)
            self._events.append(KeepaliveDue())

    def _send(self, pending: _Pending, now: float) -> None:
        self._cseq += 1
        asked = pending.asked
        headers = Headers([("CSeq", str(self._cseq)), *self._own_headers(asked)])
        headers.extend(asked.headers)
        pending.sent = Request(method=asked.method, url=asked.url, headers=headers, body=asked.body)
        pending.deadline = now + self._response_timeout
        pending.version = self._version
        written = self._leg.request(pending.sent) if self._version == RTSP_VERSION_2 else pending.sent
        self._output += written.encode()
        self._pending[self._cseq] = pending
        self._restart_keepalive(now)

    def _own_headers(self, request: Request) -> list[tuple[str, str]]:
        authorize = self._authenticator.authorization if self._authenticator else None
        own = (
            ("User-Agent", self._user_agent),
            ("Session", self.session.id if self.session else None),
            ("Authorization", authorize(request.method, request.url) if authorize else None),
        )
        return [(name, value) for name, value in own if value is not None and name not in request.headers]

    def _restart_keepalive(self, now: float) -> None:
        timeout = (self.session and self.session.timeout) or DEFAULT_SESSION_TIMEOUT
        self._keepalive_due = now + timeout * KEEPALIVE_SHARE

    def _receive_request(self, request: Request) -> None:
        if request.method == Method.OPTIONS:
            self.respond(request, respond(request, StatusCode.OK, [("Public", Method.OPTIONS)]))
            return
        event = ServerRequest(request=request)
        fault = _fault(request) if event.notice else None
        if fault is None:
            self._events.append(event)
        else:
            self.respond(request, respond(request, fault))

    def _receive_response(self, response: Response) -> None:
        if response.version == RTSP_VERSION_2:
            self._receive_version2(response)
        else:
            self._receive_version1(response)

    def _receive_version2(self, response: Response) -> None:
        """An answer of RTSP 2.0: a server that takes nothing else is asked again in its own version."""
        cseq = self._answered(response)
        pending = self._pending.get(cseq)
        refused = response.status == StatusCode.RTSP_VERSION_NOT_SUPPORTED
        if pending is None or not refused or pending.version == RTSP_VERSION_2:
            self._receive_version1(self._leg.response(response))
            return
        self._version = RTSP_VERSION_2
        del self._pending[cseq]
        self._send(pending, self._now)

    def _receive_version1(self, response: Response) -> None:
        cseq = self._answered(response)
        pending = self._pending.get(cseq)
        if pending is None:
            return
        if response.status < _FINAL:
            pending.deadline = self._now + self._response_timeout
            return
        del self._pending[cseq]
        if response.status == StatusCode.UNAUTHORIZED and self._can_retry(pending, response):
            self._send(pending, self._now)
            return
        self._learn(pending.asked, response)
        self._events.append(ResponseReceived(handle=pending.handle, request=pending.sent, response=response))

    def _answered(self, response: Response) -> int:
        """The number of the request that this answers; 0 where nobody waits for it.

        Some servers answer without CSeq, and in order. Others name a number of before, or 0: while one request waits,
        that can only be meant.
        """
        cseq = response.cseq
        known = cseq in self._pending or cseq in self._timed_out
        if cseq is not None and (known or len(self._pending) > 1):
            return cseq
        return next(iter(self._pending), 0)

    def _can_retry(self, pending: _Pending, response: Response) -> bool:
        """Whether a 401 should be answered: once for the password, once more for a nonce that went stale."""
        if self._authenticator is None or "Authorization" in pending.asked.headers:
            return False
        used_nonce = self._authenticator.nonce if "Authorization" in pending.sent.headers else None
        challenge = self._authenticator.learn(response.headers.get_all("WWW-Authenticate"))
        if challenge is None:
            return False
        if used_nonce is None:
            pending.challenged = True
            return True
        renewed = challenge.stale or (not pending.challenged and challenge.nonce != used_nonce)
        if pending.renewed or not renewed:
            return False
        pending.renewed = True
        return True

    def _learn(self, request: Request, response: Response) -> None:
        if response.status != StatusCode.OK:
            ping = request.method == Method.GET_PARAMETER and not request.body
            if response.status in (_NO_PING if ping else _NOT_OFFERED):
                self.public -= {request.method}
            return
        public = response.headers.get("Public")
        if public is not None:
            self.public = frozenset(method.strip().upper() for method in public.split(","))
        session = response.headers.get("Session")
        if request.method == Method.TEARDOWN:
            self.session = None
        elif session is not None and (self.session is not None or request.method == Method.SETUP):
            self._learn_session(SessionHeader.parse(session))

    def _learn_session(self, session: SessionHeader) -> None:
        if self.session is not None and session.timeout is None:
            session = replace(session, timeout=self.session.timeout)
        self.session = session
        self._restart_keepalive(self._now)


def _fault(notice: Request) -> StatusCode | None:
    """What is wrong with a notice."""
    try:
        PlayNotify.parse(notice)
    except RTSPError as error:
        return error.status
    return None
