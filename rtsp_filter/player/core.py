"""One played session without I/O: OPTIONS, DESCRIBE, a SETUP for each track, PLAY, reports, TEARDOWN.

Bytes, time and local ports in; bytes and events out. Each phase waits for one response, and `_ON_RESPONSE` says what
that response leads to. Anything that goes wrong ends the session with its reason, through TEARDOWN where the server
holds a session; what was measured until then stays.

A session over UDP is not its connection (RFC 2326, 1.1): where that ends in mid-play, media is received on, and another
one is made, on which the server is asked whether it still has the session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from rtsp_filter.player import negotiation
from rtsp_filter.player.errors import SessionFailedError
from rtsp_filter.player.events import (
    ConnectionNeeded,
    Ended,
    PlayerEvent,
    PlayingBegan,
    PortsNeeded,
    ReportsMade,
)
from rtsp_filter.player.negotiation import PlayerTrack, Presentation
from rtsp_filter.player.phase import Phase
from rtsp_filter.player.reconnection import Reconnection
from rtsp_filter.player.report import PlayReport, PlayTransport
from rtsp_filter.rtsp import (
    RTSPURL,
    ClientCore,
    FrameAssembler,
    InterleavedChunk,
    KeepaliveDue,
    Method,
    Pair,
    Redirects,
    Request,
    RequestTimedOut,
    Response,
    ResponseReceived,
    RTSPError,
    ServerRequest,
    StatusCode,
    TransportSpec,
    encode_frame,
    respond,
)

REPORT_INTERVAL = 1.0
"""Seconds between receiver reports. RFC 3550 asks for 5 s on average; one a second makes round trips worth showing,
and costs a sender of media nothing."""

SILENCE_LIMIT = 10.0
"""Seconds without a packet after which a server counts as gone; longer than any pause between key frames."""

TRACK_SILENCE_LIMIT = 4.0
"""Seconds without a packet after which a track of audio or video counts as silent. Slow cameras send a picture a
second; a session that played for less than this is not judged."""

TEARDOWN_LIMIT = 2.0
"""Seconds to wait for the answer to TEARDOWN; nobody needs it."""


class PlayerCore:
    """Plays `url` for `seconds` from the PLAY response on; None: until `stop`.

    `ssrc` and `cname` are what RTCP calls us; the tracks' SSRCs count up from `ssrc`. `now` is when connecting
    begins; all times are monotonic seconds.
    """

    def __init__(
        self,
        url: RTSPURL,
        *,
        transport: PlayTransport,
        seconds: float | None,
        ssrc: int,
        cname: str,
        now: float,
    ) -> None:
        self.tracks: tuple[PlayerTrack, ...] = ()
        self._url = url
        self._transport = transport
        self._seconds = seconds
        self._ssrc = ssrc
        self._cname = cname
        self._started_at = now
        self._playing_at: float | None = None
        self._stopped_at: float | None = None
        self._reports_at: float | None = None
        self._teardown_deadline: float | None = None
        self._reconnection = Reconnection(now)
        self._error: str | None = None
        self._redirects = Redirects()
        self._presentation: Presentation | None = None
        self._tracks_set_up = 0
        self._receive_on: dict[int, Callable[[bytes, float], None]] = {}
        self._output = bytearray()
        self._events: deque[PlayerEvent] = deque()
        self._phase = Phase.CONNECTION
        self._client: ClientCore
        self._need_connection(url)

    @property
    def phase(self) -> Phase:
        """What the session waits for."""
        return self._phase

    def connected(self, now: float) -> None:
        """The connection that was asked for is there."""
        if self._phase is Phase.RECONNECTION:
            self._phase = Phase.PLAYING
            self._reconnection.times += 1
            self._client.keep_alive(self._aggregate_url, now=now)
            return
        self._phase = Phase.OPTIONS
        self._client.request(Method.OPTIONS, str(self._url.without_userinfo()), now=now)

    def connection_lost(self, reason: str, now: float) -> None:
        """There is no connection, or no longer; `reason` is for people."""
        playing = self._phase in (Phase.PLAYING, Phase.RECONNECTION)
        if playing and self._transport is PlayTransport.UDP and self._client.session is not None:
            self._await_connection(reason, now)
        else:
            self._break_off(reason, now)

    def _await_connection(self, reason: str, now: float) -> None:
        """Receive on, and connect again."""
        self._phase = Phase.RECONNECTION
        self._reconnection.lost(reason, now)
        before = self._client
        assert before.session is not None
        self._client = ClientCore(credentials=negotiation.credentials(self._url))
        self._client.resume(before.session, public=before.public, version=before.version, now=now)
        self._frames = FrameAssembler()

    def _break_off(self, reason: str, now: float) -> None:
        if self._phase is not Phase.TEARDOWN:
            self._error = self._error or reason
        self._end(now)

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """The connection gave bytes; the caller may change them afterwards."""
        self._follow(lambda now: self._client.receive_data(data, now), now)

    def set_up(self, ports: Sequence[Pair], now: float) -> None:
        """The local ports that were asked for, one pair a track."""
        self._begin_setup([TransportSpec(client_port=pair) for pair in ports], now)

    def stop(self, now: float) -> None:
        """End the session, with TEARDOWN if the server holds one."""
        if self._phase in (Phase.TEARDOWN, Phase.ENDED):
            return
        if self._phase is Phase.RECONNECTION:
            self._error = self._error or self._reconnection.loss
        if self._client.session is None or self._phase is Phase.RECONNECTION:
            self._end(now)
            return
        self._phase = Phase.TEARDOWN
        self._stopped_at = now
        self._reports_at = None
        self._teardown_deadline = now + TEARDOWN_LIMIT
        self._client.request(Method.TEARDOWN, self._aggregate_url, now=now)

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        data = self._client.data_to_send() + bytes(self._output)
        self._output.clear()
        return data

    def next_event(self) -> PlayerEvent | None:
        """What to do next; None when there is nothing."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called; None: not before something else happens."""
        if self._phase is Phase.ENDED:
            return None
        asked = None if self._phase is Phase.RECONNECTION else self._client.next_timer()
        times = (asked, self._reports_at, self._stop_at, self._teardown_deadline, self._reconnection.at)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._phase is not Phase.RECONNECTION:
            self._follow(self._client.handle_timer, now)
        self._follow(self._check_deadlines, now)

    def report(self, now: float) -> PlayReport:
        """Everything measured so far."""
        ended = self._stopped_at is not None
        now = now if self._stopped_at is None else self._stopped_at
        duration = 0.0 if self._playing_at is None else now - self._playing_at
        heard = (track.receiver.first_packet_at for track in self.tracks)
        first = min((at for at in heard if at is not None), default=None)
        return PlayReport(
            url=str(self._url.without_userinfo()),
            transport=self._transport,
            setup_ms=self._since_start(self._playing_at),
            first_packet_ms=self._since_start(first),
            duration_s=round(duration, 3),
            tracks=tuple(track.receiver.report(now, duration=duration if ended else None) for track in self.tracks),
            reconnections=self._reconnection.times,
            error=self._error or self._absence or self._silent_tracks(now),
        )

    @property
    def _absence(self) -> str | None:
        """Why there is no connection just now, while media is received; None when there is one."""
        return self._reconnection.loss if self._phase is Phase.RECONNECTION else None

    def _silent_tracks(self, now: float) -> str | None:
        """Which tracks get no media, for people; None when all do, or when it is too early to tell."""
        if self._playing_at is None or now - self._playing_at < TRACK_SILENCE_LIMIT:
            return None
        verdicts = (track.receiver.silence(now, limit=TRACK_SILENCE_LIMIT) for track in self.tracks)
        return "; ".join(verdict for verdict in verdicts if verdict is not None) or None

    def _after_options(self, request: Request, response: Response, now: float) -> None:
        # Servers that know no OPTIONS still play, so only a redirect counts.
        if self._redirected(response):
            return
        self._phase = Phase.DESCRIBE
        self._client.request(Method.DESCRIBE, request.url, headers=[("Accept", "application/sdp")], now=now)

    def _after_describe(self, request: Request, response: Response, now: float) -> None:
        if self._redirected(response):
            return
        negotiation.require_ok(request, response)
        self._presentation = Presentation.of(request, response)
        count = len(self._presentation.media)
        if self._transport is PlayTransport.UDP:
            self._phase = Phase.PORTS
            self._events.append(PortsNeeded(pairs=count))
        else:
            self._begin_setup(negotiation.interleaved_transports(count), now)

    def _begin_setup(self, transports: Sequence[TransportSpec], now: float) -> None:
        assert self._presentation is not None
        self.tracks = negotiation.make_tracks(self._presentation, transports, ssrc=self._ssrc, cname=self._cname)
        self._phase = Phase.SETUP
        self._setup_next(now)

    def _setup_next(self, now: float) -> None:
        track = self.tracks[self._tracks_set_up]
        self._listen(track)
        transport = track.transport.encode()
        self._client.request(Method.SETUP, track.url, headers=[("Transport", transport)], now=now)

    def _after_setup(self, request: Request, response: Response, now: float) -> None:
        negotiation.require_ok(request, response)
        track = self.tracks[self._tracks_set_up]
        track.transport = negotiation.granted_transport(track.transport, response)
        self._listen(track)
        self._tracks_set_up += 1
        if self._tracks_set_up < len(self.tracks):
            self._setup_next(now)
            return
        self._phase = Phase.PLAY
        self._client.request(Method.PLAY, self._aggregate_url, headers=[("Range", "npt=0.000-")], now=now)

    def _after_play(self, request: Request, response: Response, now: float) -> None:
        negotiation.require_ok(request, response)
        self._phase = Phase.PLAYING
        self._playing_at = self._reports_at = now
        self._events.append(PlayingBegan())
        self._check_deadlines(now)

    def _while_playing(self, request: Request, response: Response, now: float) -> None:
        """A keep-alive was answered: where it does not know the session, the server has ended it."""
        if response.status == StatusCode.SESSION_NOT_FOUND:
            told = f"the server has ended the session ({negotiation.describe(request, response)})"
            raise SessionFailedError(self._reconnection.before(told))
        self._reconnection.loss = None

    def _after_teardown(self, request: Request, response: Response, now: float) -> None:
        if request.method == Method.TEARDOWN:
            self._end(now)

    _ON_RESPONSE: ClassVar[dict[Phase, Callable[[PlayerCore, Request, Response, float], None]]] = {
        Phase.OPTIONS: _after_options,
        Phase.DESCRIBE: _after_describe,
        Phase.SETUP: _after_setup,
        Phase.PLAY: _after_play,
        Phase.PLAYING: _while_playing,
        Phase.TEARDOWN: _after_teardown,
    }

    def _follow(self, step: Callable[[float], None], now: float) -> None:
        """Do a step and take what events it brings; what goes wrong there ends the session."""
        try:
            step(now)
            self._take_events(now)
        except SessionFailedError as failure:
            self._fail(str(failure), now)
        except RTSPError as error:
            self._break_off(f"the server does not speak RTSP: {error}", now)

    def _take_events(self, now: float) -> None:
        while self._phase is not Phase.ENDED and (event := self._client.next_event()) is not None:
            match event:
                case InterleavedChunk():
                    self._take_frames(event, now)
                case ResponseReceived():
                    if handle := self._ON_RESPONSE.get(self._phase):
                        handle(self, event.request, event.response, now)
                case RequestTimedOut():
                    raise SessionFailedError(f"the server does not answer {event.request.method}")
                case KeepaliveDue():
                    self._client.keep_alive(self._aggregate_url, now=now)
                case ServerRequest():
                    status = StatusCode.OK if event.notice else StatusCode.NOT_IMPLEMENTED
                    self._client.respond(event.request, respond(event.request, status))

    def _take_frames(self, chunk: InterleavedChunk, now: float) -> None:
        for channel, payload in self._frames.receive_chunk(chunk):
            receive = self._receive_on.get(channel)
            if receive is not None:
                receive(payload, now)

    def _check_deadlines(self, now: float) -> None:
        if self._teardown_deadline is not None and now >= self._teardown_deadline:
            self._end(now)
        elif self._stop_at is not None and now >= self._stop_at:
            self.stop(now)
        elif self._reports_at is not None and now >= self._reports_at:
            self._reports_at = now + REPORT_INTERVAL
            self._check_silence(now)
            self._make_reports(now)
        if self._phase is Phase.RECONNECTION and self._reconnection.due(now):
            self._events.append(ConnectionNeeded(url=self._url))

    def _check_silence(self, now: float) -> None:
        moments = [self._playing_at, *(track.receiver.last_packet_at for track in self.tracks)]
        if now - max(at for at in moments if at is not None) >= SILENCE_LIMIT:
            raise SessionFailedError(self._reconnection.before(f"no media for {SILENCE_LIMIT:g} s"))

    def _make_reports(self, now: float) -> None:
        datagrams = tuple(track.receiver.receiver_report(now) for track in self.tracks)
        if self._transport is PlayTransport.UDP:
            self._events.append(ReportsMade(datagrams=datagrams))
            return
        for track, datagram in zip(self.tracks, datagrams, strict=True):
            assert track.transport.interleaved is not None
            self._output += encode_frame(track.transport.interleaved.rtcp, datagram)
        self._events.append(ReportsMade(datagrams=()))

    def _redirected(self, response: Response) -> bool:
        if response.status not in (StatusCode.MOVED_PERMANENTLY, StatusCode.MOVED_TEMPORARILY):
            return False
        target = negotiation.redirect_target(self._redirects, self._url, response.headers.get("Location") or "")
        self._need_connection(target)
        return True

    def _need_connection(self, url: RTSPURL) -> None:
        self._url = url
        self._phase = Phase.CONNECTION
        self._client = ClientCore(credentials=negotiation.credentials(url))
        self._frames = FrameAssembler()
        self._events.append(ConnectionNeeded(url=url))

    def _listen(self, track: PlayerTrack) -> None:
        """Frames of its channels go to the track; media may come before the response that grants them."""
        channels = track.transport.interleaved
        if channels is not None:
            self._receive_on[channels.rtp] = track.receiver.rtp_received
            self._receive_on[channels.rtcp] = track.receiver.rtcp_received

    def _fail(self, error: str, now: float) -> None:
        if self._phase is not Phase.TEARDOWN:
            self._error = error
            self.stop(now)

    def _end(self, now: float) -> None:
        if self._phase is Phase.ENDED:
            return
        self._phase = Phase.ENDED
        self._stopped_at = now if self._stopped_at is None else self._stopped_at
        self._events.append(Ended())

    def _since_start(self, moment: float | None) -> float | None:
        return None if moment is None else round((moment - self._started_at) * 1_000, 3)

    @property
    def _stop_at(self) -> float | None:
        playing = self._phase in (Phase.PLAYING, Phase.RECONNECTION)
        if self._seconds is None or self._playing_at is None or not playing:
            return None
        return self._playing_at + self._seconds

    @property
    def _aggregate_url(self) -> str:
        assert self._presentation is not None
        return self._presentation.aggregate_url
