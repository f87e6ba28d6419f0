"""What the core of a played session asks of its shell."""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.rtsp import RTSPURL


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionNeeded:
    """Connect to this server (closing any connection there is), then call `connected`."""

    url: RTSPURL


@dataclass(frozen=True, slots=True, kw_only=True)
class PortsNeeded:
    """Open this many UDP port pairs, then call `set_up` with them."""

    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayingBegan:
    """PLAY is answered: `PlayerTrack.transport` of every track tells where its sender is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsMade:
    """A second has passed. `datagrams` are RTCP to send, one a track; empty over TCP, where they are in the output."""

    datagrams: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more will happen: write the output and close."""


PlayerEvent = ConnectionNeeded | PortsNeeded | PlayingBegan | ReportsMade | Ended
