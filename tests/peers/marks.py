"""Packets that say whose they are: every RTP payload and every RTCP packet names its session, track and number.

Whoever receives one can tell whether it was meant for them, and which are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rtsp_filter.rtp import (
    ReceiverReport,
    RTCPPacket,
    RTPError,
    RTPPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)

PAYLOAD_TYPE = 96
TICKS_PER_PACKET = 900
# About what an audio packet has.
PAYLOAD_BYTES = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """`number` counts the packets of one track from 0."""

    session: str
    track: int
    number: int

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Raises ValueError for what is no mark."""
        session, track, number = text.decode().strip().split(" ")
        return cls(session=session, track=int(track), number=int(number))

    def __str__(self) -> str:
        return f"{self.session} {self.track} {self.number}"


def media_packet(mark: Mark, size: int = PAYLOAD_BYTES) -> bytes:
    """An RTP packet whose payload, of `size` bytes, is the mark."""
    return RTPPacket(
        payload_type=PAYLOAD_TYPE,
        sequence=mark.number & 0xFFFF,
        timestamp=mark.number * TICKS_PER_PACKET & 0xFFFFFFFF,
        ssrc=mark.track + 1,
        payload=str(mark).encode().ljust(size),
    ).serialize()


def sender_report(mark: Mark) -> bytes:
    """An RTCP compound of a sender, whose CNAME is the mark."""
    ssrc = mark.track + 1
    report = SenderReport(ssrc=ssrc, ntp=0, rtp_timestamp=0, packet_count=0, octet_count=0)
    return _named(report, ssrc, mark)


def receiver_report(mark: Mark) -> bytes:
    """An RTCP compound of a receiver, whose CNAME is the mark."""
    ssrc = mark.track + 101
    return _named(ReceiverReport(ssrc=ssrc), ssrc, mark)


def mark_of(data: bytes, *, rtcp: bool) -> Mark | None:
    """The mark of a packet; None for one that is none of ours."""
    try:
        return Mark.parse(_cname(data) if rtcp else RTPPacket.parse(data).payload)
    except (RTPError, ValueError):
        return None


def _named(report: RTCPPacket, ssrc: int, mark: Mark) -> bytes:
    return serialize_compound([report, SourceDescription.of_cname(ssrc, str(mark))])


def _cname(data: bytes) -> bytes:
    for packet in parse_compound(data):
        if isinstance(packet, SourceDescription):
            return packet.chunks[0].items[0][1]
    return b""
