"""An RTSP server whose every packet names the session that it is for (see marks.py).

Any path plays; its last part names the session, so tests choose the names. What a session sent, and what reports came
back to it, stays readable after its end. Runs on the test's event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self, cast

from rtsp_filter.rtsp import (
    BOTH_VERSIONS,
    Event,
    FrameAssembler,
    InterleavedChunk,
    LowerTransport,
    Pair,
    Parser,
    Request,
    Response,
    StatusCode,
    TransportSpec,
    encode_frame,
    parse_transports,
    respond,
)
from tests.peers.marks import PAYLOAD_BYTES, Mark, mark_of, media_packet, sender_report
from tests.peers.udp_pair import UDPPair

MEDIA = ("video", "audio")
SESSION_TIMEOUT = 60
# A sender report after this many media packets.
REPORT_EVERY = 5
_CONTROL = "track="


@dataclass(slots=True, kw_only=True)
class SentTrack:
    """One track of a session: how many packets were sent, and whose receiver reports came."""

    number: int
    sent: int = 0
    reports_sent: int = 0
    reports: list[Mark | None] = field(default_factory=list)
    ports: UDPPair | None = None
    receiver: tuple[str, Pair] | None = None
    channels: Pair | None = None


@dataclass(slots=True, kw_only=True)
class FilmedSession:
    """A session of the camera. `torn_down`: by TEARDOWN; `lost`: its connection ended."""

    name: str
    connection: CameraConnection
    size: int = PAYLOAD_BYTES
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    tracks: dict[int, SentTrack] = field(default_factory=dict)
    playing: bool = False
    torn_down: bool = False
    lost: bool = False

    @property
    def over(self) -> bool:
        return self.torn_down or self.lost

    @property
    def interleaved(self) -> bool:
        return any(track.channels is not None for track in self.tracks.values())

    def send(self) -> None:
        """The next media packet of each track, and now and then a sender report."""
        for track in self.tracks.values():
            if track.sent % REPORT_EVERY == 0:
                mark = Mark(session=self.name, track=track.number, number=track.reports_sent)
                self._send(track, sender_report(mark), rtcp=True)
                track.reports_sent += 1
            mark = Mark(session=self.name, track=track.number, number=track.sent)
            self._send(track, media_packet(mark, self.size), rtcp=False)
            track.sent += 1

    def close(self) -> None:
        self.playing = False
        for track in self.tracks.values():
            if track.ports is not None:
                track.ports.close()
                track.ports = None

    def _send(self, track: SentTrack, data: bytes, *, rtcp: bool) -> None:
        if track.channels is not None:
            self.connection.write(encode_frame(track.channels[rtcp], data))
        elif track.ports is not None and track.receiver is not None:
            address, ports = track.receiver
            track.ports.send(data, address, ports[rtcp], rtcp=rtcp)


class MarkedCamera:
    """Use it as an async context manager. Each playing session sends `rate` media packets a second and track, with
    `size` bytes each.

    A `lasting` camera's sessions over UDP outlive the connections that made them, and any connection may name them, as
    RFC 2326 has it; other cameras end them with their connections. `asked` are methods with the session that each
    named. `port` 0 is any free one. A `muted` camera sends nothing, though it plays; a `deaf` one answers nothing.
    `codec` is what its description says. A `stubborn` camera does not answer TEARDOWN, and sends on over UDP for ever.
    `named_ports` is what it says of the ports that it sends from; without it the truth.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        rate: float = 25.0,
        size: int = PAYLOAD_BYTES,
        stubborn: bool = False,
        lasting: bool = False,
        codec: str = "MARK",
        named_ports: str | None = None,
    ) -> None:
        self.codec = codec
        self.named_ports = named_ports
        self.muted = False
        self.deaf = False
        self.answers: asyncio.Queue[Response] = asyncio.Queue()
        self.lasting = lasting
        self.asked: list[tuple[str, str]] = []
        self.address = address
        self.port = port
        self.stubborn = stubborn
        self.size = size
        self.sessions: dict[str, list[FilmedSession]] = defaultdict(list)
        self.connections: set[CameraConnection] = set()
        self._rate = rate

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: CameraConnection(self), self.address, self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        self._sender = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sender.cancel()
        self.refuse()
        self.hang_up()
        for session in self.all_sessions:
            session.close()
        await asyncio.gather(self._sender, return_exceptions=True)

    def refuse(self) -> None:
        """Take no more connections."""
        self._server.close()

    def hang_up(self) -> None:
        """End every connection."""
        for connection in list(self.connections):
            connection.abort()

    @property
    def url(self) -> str:
        """Where every path plays, without a slash at the end."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"rtsp://{host}:{self.port}"

    @property
    def all_sessions(self) -> list[FilmedSession]:
        return [session for sessions in self.sessions.values() for session in sessions]

    def session(self, name: str) -> FilmedSession:
        """The latest session of this name."""
        return self.sessions[name][-1]

    async def _send_all(self) -> None:
        while True:
            await asyncio.sleep(1 / self._rate)
            for session in self.all_sessions:
                if session.playing and not self.muted:
                    session.send()


class CameraConnection(asyncio.Protocol):
    """One control connection, which may carry several sessions."""

    def __init__(self, camera: MarkedCamera) -> None:
        self._camera = camera
        self._parser = Parser(versions=BOTH_VERSIONS)
        self._frames = FrameAssembler()
        self._sessions: dict[str, FilmedSession] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._camera.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) is not None:
            self._take(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._camera.connections.discard(self)
        for session in self._sessions.values():
            if self._camera.lasting and not session.interleaved:
                continue
            session.lost = True
            if not self._camera.stubborn:
                session.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that nobody has taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def stop_reading(self) -> None:
        """Leave what comes where it is, little of it here."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self._transport.pause_reading()

    @property
    def closed(self) -> bool:
        """Whether it is over, or about to be."""
        return self._transport is None or self._transport.is_closing()

    def abort(self) -> None:
        """Hang up at once, as a camera that loses its power."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, event: Event) -> None:
        if isinstance(event, Request) and not self._camera.deaf:
            response = self._answer(event)
            if response is not None:
                self.write(response.encode())
        elif isinstance(event, Response):
            self._camera.answers.put_nowait(event)
        elif isinstance(event, InterleavedChunk):
            for channel, payload in self._frames.receive_chunk(event):
                self._receive_frame(channel, payload)

    def _answer(self, request: Request) -> Response | None:
        if request.method == "DESCRIBE":
            return respond(request, StatusCode.OK, [("Content-Type", "application/sdp")], self._description())
        if request.method == "SETUP":
            return self._set_up(request)
        named = request.headers.get("Session")
        session = self._named(named or "")
        self._camera.asked.append((request.method, named or ""))
        if session is None and named is not None:
            return respond(request, StatusCode.SESSION_NOT_FOUND)
        if session is not None and request.method in ("PLAY", "PAUSE"):
            session.playing = request.method == "PLAY"
        if session is not None and request.method == "TEARDOWN":
            if self._camera.stubborn:
                return None
            session.torn_down = True
            session.close()
        return respond(request, StatusCode.OK, [("Public", "DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER")])

    def _named(self, session_id: str) -> FilmedSession | None:
        """A session of this connection; where sessions outlive connections, of any."""
        sessions = self._camera.all_sessions if self._camera.lasting else self._sessions.values()
        return next((session for session in sessions if session.id == session_id and not session.over), None)

    def _set_up(self, request: Request) -> Response:
        path, _, number = request.url.rpartition(f"/{_CONTROL}")
        if not number.isdigit():
            return respond(request, StatusCode.NOT_FOUND)
        session = self._sessions.get(request.headers.get("Session") or "")
        if session is None:
            session = FilmedSession(name=path.rpartition("/")[2], connection=self, size=self._camera.size)
            self._sessions[session.id] = session
            self._camera.sessions[session.name].append(session)
        track = SentTrack(number=int(number))
        (offer, *_) = parse_transports(request.headers.get("Transport") or "")
        answer = self._carry(session, track, offer)
        before = session.tracks.get(track.number)
        if before is not None and before.ports is not None:
            before.ports.close()
        session.tracks[track.number] = track
        headers = [("Session", f"{session.id};timeout={SESSION_TIMEOUT}"), ("Transport", answer.encode())]
        return respond(request, StatusCode.OK, headers)

    def _carry(self, session: FilmedSession, track: SentTrack, offer: TransportSpec) -> TransportSpec:
        if offer.lower is LowerTransport.TCP:
            track.channels = offer.interleaved
            return TransportSpec(lower=LowerTransport.TCP, interleaved=offer.interleaved)
        assert offer.client_port is not None and self._transport is not None
        track.receiver = (offer.destination or self._transport.get_extra_info("peername")[0], offer.client_port)
        track.ports = UDPPair(self._transport.get_extra_info("sockname")[0])

        def received(rtcp: bool, data: bytes, source: int) -> None:
            if rtcp:
                track.reports.append(mark_of(data, rtcp=True))

        track.ports.start(received)
        named = self._camera.named_ports
        if named is None:
            return TransportSpec(client_port=offer.client_port, server_port=track.ports.ports)
        return TransportSpec(client_port=offer.client_port, others=(f"server_port={named}",) if named else ())

    def _receive_frame(self, channel: int, payload: bytes) -> None:
        for session in self._sessions.values():
            for track in session.tracks.values():
                if track.channels is not None and track.channels.rtcp == channel:
                    track.reports.append(mark_of(payload, rtcp=True))

    def _description(self) -> bytes:
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=marked", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
        for number, media in enumerate(MEDIA):
            lines += [
                f"m={media} 0 RTP/AVP 96",
                f"a=rtpmap:96 {self._camera.codec}/90000",
                f"a=control:{_CONTROL}{number}",
            ]
        return ("\r\n".join(lines) + "\r\n").encode()
