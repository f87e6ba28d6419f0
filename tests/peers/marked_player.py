"""A player for the marked camera: knows which packets are its own, which it misses, and which it should never see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from rtsp_filter.rtsp import RTSPURL, LowerTransport, Pair, Response, TransportSpec, parse_transports
from tests.peers.certificates import trusting_context
from tests.peers.marked_camera import MEDIA
from tests.peers.marks import Mark, mark_of, receiver_report
from tests.peers.rtsp_wire import RTSPWire
from tests.peers.udp_pair import UDPPair

REPORTS_PER_SECOND = 5.0


@dataclass(slots=True, kw_only=True)
class PlayedTrack:
    """What arrived of one track: numbers of media packets with the loop's time, their sizes, and how many reports."""

    number: int
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    reports: int = 0
    reports_sent: int = 0
    ports: UDPPair | None = None
    sender: tuple[str, Pair] | None = None
    channels: Pair | None = None

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.arrivals]

    @property
    def longest_gap(self) -> float:
        """Seconds between the two packets that came furthest apart."""
        return max(later - earlier for (_, earlier), (_, later) in pairwise(self.arrivals))


class MarkedPlayer:
    """Plays `url` (rtsp, or rtsps with any certificate), whose path's last part names the session. `async with` plays
    it from start to TEARDOWN. `reports`: whether it sends receiver reports.

    `foreign` lists what arrived and is not of this session, track and announced port.
    """

    def __init__(
        self,
        url: str,
        lower: LowerTransport = LowerTransport.UDP,
        *,
        tracks: Iterable[int] = range(len(MEDIA)),
        reports: bool = True,
    ) -> None:
        self.url = url
        self.name = url.rpartition("/")[2]
        self.lower = lower
        self.session = ""
        self.foreign: list[str] = []
        self.tracks = {number: PlayedTrack(number=number) for number in tracks}
        self._reports = reports
        self._reporter: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
            await self.set_up()
            await self.play()
        except BaseException:
            await self.vanish()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def received(self) -> int:
        """Media packets of all tracks."""
        return sum(len(track.arrivals) for track in self.tracks.values())

    def heard(self, packets: int) -> bool:
        """Whether every track has so many media packets."""
        return all(len(track.arrivals) >= packets for track in self.tracks.values())

    async def connect(self) -> None:
        parsed = RTSPURL.parse(self.url)
        tls = trusting_context() if parsed.scheme == "rtsps" else None
        self.wire = await RTSPWire.open(
            parsed.connect_host, parsed.effective_port, tls=tls, on_frame=self._receive_frame
        )
        self._server = parsed.connect_host

    async def come_back(self, url: str | None = None) -> None:
        """Another connection, to where `url` leads or to where the first one did; the session is the same."""
        parsed = RTSPURL.parse(url or self.url)
        self.wire = await RTSPWire.open(parsed.connect_host, parsed.effective_port)

    async def set_up(self) -> None:
        """DESCRIBE, and SETUP of each track."""
        described = await self.describe()
        assert described.status == 200, described
        for track in self.tracks.values():
            response = await self.set_up_track(track)
            assert response.status == 200, response

    async def describe(self) -> Response:
        return await self.wire.ask("DESCRIBE", self.url, ("Accept", "application/sdp"))

    async def set_up_track(self, track: PlayedTrack) -> Response:
        """SETUP of one track; what the answer grants is in use then."""
        session = [("Session", self.session)] if self.session else []
        offer = self._offer(track)
        response = await self.wire.ask("SETUP", f"{self.url}/track={track.number}", ("Transport", offer), *session)
        if response.status == 200:
            self.session = (response.headers.get("Session") or "").partition(";")[0]
            (granted,) = parse_transports(response.headers.get("Transport") or "")
            if granted.server_port is not None:
                track.sender = (granted.source or self._server, granted.server_port)
        return response

    async def play(self) -> None:
        response = await self.ask("PLAY")
        assert response.status == 200, response
        if self._reports:
            self._reporter = asyncio.create_task(self._report())

    async def ask(self, method: str) -> Response:
        """A request about the session."""
        return await self.wire.ask(method, self.url, ("Session", self.session))

    async def stop(self) -> None:
        """TEARDOWN, unless the server has hung up; then let go of everything."""
        if not self.wire.closed.is_set():
            await self.ask("TEARDOWN")
        await self.vanish()

    async def vanish(self) -> None:
        """Let go of everything without a word, as a player whose process is killed."""
        await self.report_no_more()
        await self.wire.close()
        for track in self.tracks.values():
            if track.ports is not None:
                track.ports.close()

    async def report_no_more(self) -> None:
        """Send no more receiver reports."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)

    def _offer(self, track: PlayedTrack) -> str:
        if self.lower is LowerTransport.TCP:
            track.channels = Pair(2 * track.number, 2 * track.number + 1)
            return TransportSpec(lower=LowerTransport.TCP, interleaved=track.channels).encode()
        if track.ports is not None:  # of a SETUP that was refused
            track.ports.close()
        track.ports = UDPPair(self._server)

        def received(rtcp: bool, data: bytes, source: int) -> None:
            expected = None if track.sender is None else track.sender[1][rtcp]
            self._receive(track, data, rtcp=rtcp, stranger="" if source == expected else f"from port {source}: ")

        track.ports.start(received)
        return TransportSpec(client_port=track.ports.ports).encode()

    def _receive_frame(self, channel: int, payload: bytes) -> None:
        for track in self.tracks.values():
            if track.channels is not None and channel in track.channels:
                self._receive(track, payload, rtcp=channel == track.channels.rtcp)
                return
        self.foreign.append(f"channel {channel}: {payload!r}")

    def _receive(self, track: PlayedTrack, data: bytes, *, rtcp: bool, stranger: str = "") -> None:
        mark = mark_of(data, rtcp=rtcp)
        if stranger or mark is None or (mark.session, mark.track) != (self.name, track.number):
            self.foreign.append(f"{self.name} track {track.number} got {stranger}{mark or data!r}")
        elif rtcp:
            track.reports += 1
        else:
            track.arrivals.append((mark.number, asyncio.get_running_loop().time()))
            track.sizes.add(len(data))

    async def _report(self) -> None:
        while True:
            for track in self.tracks.values():
                report = receiver_report(Mark(session=self.name, track=track.number, number=track.reports_sent))
                if track.channels is not None:
                    self.wire.write(b"$%c%c%c" % (track.channels.rtcp, len(report) >> 8, len(report) & 255) + report)
                elif track.ports is not None and track.sender is not None:
                    address, ports = track.sender
                    track.ports.send(report, address, ports.rtcp, rtcp=True)
                track.reports_sent += 1
            await asyncio.sleep(1 / REPORTS_PER_SECOND)
