"""One player's session: its tracks, where they go, and what is to be sent when."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtsp_filter.camera.stream import TrackStream
from rtsp_filter.rtsp import Pair, RTPInfo, State

REPORT_INTERVAL = 2.0
"""Seconds between sender reports. RFC 3550 (6.2) allows 360 / kbit/s; this is enough to measure round trips by."""

COALESCE = 0.001
"""Seconds by which a packet may be early: picture and sound that are due together go out in one wake-up."""

MAX_BEHIND = 1.0
"""Seconds that may be made up for by a burst; players buffer about as much."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class UDPTarget:
    """Ports of the player. `local` names the socket pair to send from."""

    local: str
    rtp: SocketAddress
    rtcp: SocketAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPTarget:
    """Channels of a control connection."""

    connection: int
    channels: Pair


Target = UDPTarget | TCPTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Packets to send now, in order, RTCP first."""

    target: Target
    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SessionTrack:
    """A track that was set up. `url` is the one that the player used."""

    url: str
    stream: TrackStream
    target: Target


@dataclass(slots=True, kw_only=True)
class CameraSession:
    """`cname` names the streams in RTCP, `path` is the stream's, `last_active` when the player was last heard of."""

    id: str
    cname: str
    path: str
    last_active: float
    state: State = State.INIT
    tracks: dict[int, SessionTrack] = field(default_factory=dict)
    _position: float = 0.0
    _origin: float = 0.0
    _next_report: float = 0.0

    @property
    def connections(self) -> set[int]:
        """The control connections that carry media of this session: it ends with any of them."""
        targets = (track.target for track in self.tracks.values())
        return {target.connection for target in targets if isinstance(target, TCPTarget)}

    def rtp_info(self) -> tuple[RTPInfo, ...]:
        """Where each track goes on."""
        return tuple(track.stream.rtp_info(track.url) for track in self.tracks.values())

    def play(self, now: float) -> None:
        """Send from now on, from where it was paused."""
        self._origin = now - self._position
        self._next_report = now
        for track in self.tracks.values():
            track.stream.play(self._origin)

    def pause(self, now: float) -> None:
        """Send nothing more for the time being."""
        self._position = now - self._origin

    def next_timer(self) -> float | None:
        """When `take_due` has something to send; None unless playing."""
        if self.state is not State.PLAYING:
            return None
        return min(self._next_report, *(track.stream.due for track in self.tracks.values()))

    def take_due(self, now: float) -> list[Batch]:
        """What to send by `now`; each packet is given once."""
        if self.state is not State.PLAYING:
            return []
        self._catch_up(now)
        report = now >= self._next_report
        if report:
            self._next_report = now + REPORT_INTERVAL
        due = now + COALESCE
        return [
            Batch(
                target=track.target,
                rtp=track.stream.take_due(due),
                rtcp=[track.stream.report(now)] if report else [],
            )
            for track in self.tracks.values()
        ]

    def _catch_up(self, now: float) -> None:
        """After a stall of the process the stream goes on where it was, instead of sending all that was missed."""
        behind = now - min(track.stream.due for track in self.tracks.values())
        if behind > MAX_BEHIND:
            self._origin += behind
            for track in self.tracks.values():
                track.stream.play(self._origin)

    def goodbye(self, now: float) -> list[Batch]:
        """What to send at the end."""
        return [Batch(target=track.target, rtcp=[track.stream.goodbye(now)]) for track in self.tracks.values()]
