"""The state machines of a session, each against a peer that says anything at any time.

An input is cut at CUT into turns: a byte that says what happens, and bytes that the peer sends then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from rtsp_filter.camera import CameraSettings
from rtsp_filter.camera.core import CameraCore
from rtsp_filter.camera.negotiation import Peer
from rtsp_filter.player import PlayTransport
from rtsp_filter.player.core import PlayerCore
from rtsp_filter.player.events import ConnectionNeeded, PortsNeeded
from rtsp_filter.player.phase import Phase
from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import (
    BOTH_VERSIONS,
    RTSPURL,
    ClientCore,
    Credentials,
    FrameAssembler,
    InterleavedChunk,
    Method,
    Pair,
    Parser,
    Request,
    RTSPParseError,
    ServerRequest,
    StatusCode,
    respond,
)
from tests.rtsp_filter.fuzz.streams import ROOMY

CUT = b"\xfe"
# In the camera's input: the id of the session that it made last.
SESSION_ID = b"\xfd"
URL = "rtsp://198.51.100.7:554/stream"
METHODS = tuple(Method)
# Seconds between two turns; a few of them are any time-out.
STEP = 3.0
CLIP = Clip.load()


def turns(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What happens, and what the peer sends then."""
    for turn in data.split(CUT):
        yield (turn[0] if turn else 0), turn[1:]


def assert_rtsp(written: bytes) -> None:
    """What a core has to send is whole messages and frames, whatever it repeats of what its peer said."""
    parser, last = Parser(ROOMY, versions=BOTH_VERSIONS), None
    parser.receive_data(written)
    while (event := parser.next_event()) is not None:
        last = event
    assert not isinstance(last, InterleavedChunk) or last.whole
    assert written == b"" or last is not None
    parser.receive_data(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert isinstance(parser.next_event(), Request)


def client(data: bytes) -> None:
    """The requester that the proxy has at a camera: only a parse error ends it, timers never come due twice."""
    core = ClientCore(credentials=Credentials(username="u", password="p"))  # noqa: S106
    now = 0.0
    for number, sent in turns(data):
        if number < len(METHODS):
            core.request(METHODS[number], URL, now=now)
        elif number % 2:
            now = core.next_timer() or now
            core.handle_timer(now)
            assert (core.next_timer() or now + 1) > now
        else:
            now += STEP
        try:
            core.receive_data(sent, now)
            for event in iter(core.next_event, None):
                if isinstance(event, ServerRequest):
                    core.respond(event.request, respond(event.request, StatusCode.NOT_IMPLEMENTED))
        except RTSPParseError:
            return
        assert_rtsp(core.data_to_send())


def player(data: bytes) -> None:
    """The measuring player: no server makes it raise, send what is no RTSP, or miss its own end."""
    transport = PlayTransport.UDP if data[:1] == b"u" else PlayTransport.TCP
    core = PlayerCore(RTSPURL.parse(URL), transport=transport, seconds=60.0, ssrc=1, cname="me", now=0.0)
    now = 0.0
    for number, sent in turns(data[1:]):
        now += STEP * (number % 4)
        while (due := core.next_timer()) is not None and due <= now:
            core.handle_timer(due)
        core.receive_data(sent, now)
        _do_as_asked(core, now)
        assert_rtsp(core.data_to_send())
    core.connection_lost("the test is over", now)
    while (due := core.next_timer()) is not None:  # over UDP it tries to come back, for as long as there is media
        core.handle_timer(due)
        while (event := core.next_event()) is not None:
            if isinstance(event, ConnectionNeeded):
                core.connection_lost("nobody is there", due)
    assert core.phase is Phase.ENDED
    assert core.report(now).duration_s >= 0


def _do_as_asked(core: PlayerCore, now: float) -> None:
    while (event := core.next_event()) is not None:
        if isinstance(event, ConnectionNeeded):
            core.connected(now)
        elif isinstance(event, PortsNeeded):
            core.set_up([Pair(5000 + 2 * index, 5001 + 2 * index) for index in range(event.pairs)], now)


def camera(data: bytes) -> None:
    """The bundled camera: every request of any of two clients is answered once, and no session outlives its end."""
    core = CameraCore(CameraSettings(), CLIP, unix_offset=0.0)
    clients = [(Parser(versions=BOTH_VERSIONS), FrameAssembler(), _peer(number)) for number in range(2)]
    now = 0.0
    with suppress(RTSPParseError):
        for number, sent in turns(data):
            now += STEP * (number // 2 % 4)
            core.expire(now)
            parser, frames, peer = clients[number % 2]
            parser.receive_data(sent.replace(SESSION_ID, next(reversed(core.sessions), "none").encode()))
            for event in iter(parser.next_event, None):
                if isinstance(event, Request):
                    response = core.handle(event, peer, now)
                    assert response.cseq == event.cseq
                    assert_rtsp(response.encode())
                elif isinstance(event, InterleavedChunk):
                    for channel, payload in frames.receive_chunk(event):
                        core.receive_frame(peer.connection, channel, payload, now)
    core.end_all(now)
    assert core.sessions == {}


def _peer(number: int) -> Peer:
    return Peer(connection=number, remote=("127.0.0.1", 40000 + number), local="127.0.0.1", server_ports=Pair(1, 2))
