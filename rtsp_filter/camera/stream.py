"""One track on its way to one player: which packets are due when, and what RTCP says of them (RFC 3550).

A stream counts access units for ever, so the clip's end is no event. Time given to it is that of the event loop;
`unix_offset` turns it into wall-clock time for sender reports.
"""

from __future__ import annotations

import secrets

from rtsp_filter.camera.impairment import Impairment
from rtsp_filter.rtp import (
    ClipTrack,
    DelaySinceLastReceiverReport,
    ExtendedReport,
    Goodbye,
    LastReceiverReport,
    ReceiverReferenceTime,
    RTCPPacket,
    RTPError,
    SenderReport,
    SourceDescription,
    build_header,
    clock,
    parse_compound,
    serialize_compound,
)
from rtsp_filter.rtsp import RTPInfo

_SEQUENCES = 1 << 16
"""Sequence numbers have 16 bits, timestamps 32."""
_TIMESTAMPS = 1 << 32


class TrackStream:
    """Packets of one track. SSRC, first sequence number and first timestamp are random (RFC 3550, 5.1)."""

    def __init__(self, track: ClipTrack, *, impairment: Impairment, cname: str, unix_offset: float) -> None:
        self.ssrc = secrets.randbits(32)
        self._track = track
        self._impairment = impairment
        self._cname = cname
        self._unix_offset = unix_offset
        self._sequence = secrets.randbelow(_SEQUENCES)
        self._timestamp = secrets.randbelow(_TIMESTAMPS)
        self._number = 0
        self._origin = 0.0
        self._due = 0.0
        self._packets = 0
        self._octets = 0
        self._heard: tuple[int, int, float] | None = None

    @property
    def due(self) -> float:
        """When the next access unit is to be sent, once `play` has been called."""
        return self._due

    def rtp_info(self, url: str) -> RTPInfo:
        """The next packet's numbers (RFC 2326, 12.33)."""
        pts, _ = self._track.unit(self._number)
        return RTPInfo(url=url, seq=self._sequence, rtptime=(self._timestamp + pts) % _TIMESTAMPS)

    def play(self, origin: float) -> None:
        """Send on: media time 0 is at `origin`."""
        self._origin = origin
        self._schedule()

    def take_due(self, now: float) -> list[bytes]:
        """The RTP packets to send by `now`; each is given once."""
        packets: list[bytes] = []
        while self._due <= now:
            packets += self._next_unit()
            self._schedule()
        return packets

    def report(self, now: float) -> bytes:
        """A compound of sender report, description, and the answer to a receiver's reference time (RFC 3611, 4.5)."""
        return serialize_compound([*self._reports(now), *self._round_trip_help(now)])

    def goodbye(self, now: float) -> bytes:
        """The last compound."""
        return serialize_compound([*self._reports(now), Goodbye(ssrcs=(self.ssrc,))])

    def receive_report(self, data: bytes, now: float) -> None:
        """Take a receiver's compound; what is none is ignored."""
        try:
            packets = parse_compound(data)
        except RTPError:
            return
        for packet in packets:
            if isinstance(packet, ExtendedReport):
                for block in packet.blocks:
                    if isinstance(block, ReceiverReferenceTime):
                        self._heard = (packet.ssrc, clock.compact(block.ntp), now)

    def _schedule(self) -> None:
        pts, _ = self._track.unit(self._number)
        # A late unit makes those behind it late too: units leave in order.
        self._due = self._origin + pts / self._track.clock_rate + self._impairment.lateness()

    def _next_unit(self) -> list[bytes]:
        pts, unit = self._track.unit(self._number)
        self._number += 1
        timestamp = self._timestamp + pts
        packets = []
        for payload in unit.payloads:
            sequence = self._sequence
            self._sequence = (sequence + 1) % _SEQUENCES
            if self._impairment.loses():
                continue
            header = build_header(
                payload_type=self._track.payload_type,
                marker=payload.marker,
                sequence=sequence,
                timestamp=timestamp,
                ssrc=self.ssrc,
            )
            packets.append(header + payload.data)
            self._octets += len(payload.data)
        self._packets += len(packets)
        return packets

    def _reports(self, now: float) -> list[RTCPPacket]:
        position = int((now - self._origin) * self._track.clock_rate)
        report = SenderReport(
            ssrc=self.ssrc,
            ntp=clock.ntp_timestamp(now + self._unix_offset),
            rtp_timestamp=(self._timestamp + position) % _TIMESTAMPS,
            packet_count=self._packets % _TIMESTAMPS,
            octet_count=self._octets % _TIMESTAMPS,
        )
        return [report, SourceDescription.of_cname(self.ssrc, self._cname)]

    def _round_trip_help(self, now: float) -> list[RTCPPacket]:
        if self._heard is None:
            return []
        ssrc, last, heard_at = self._heard
        delay = clock.compact_duration(now - heard_at)
        receiver = LastReceiverReport(ssrc=ssrc, last_rr=last, delay=delay)
        return [ExtendedReport(ssrc=self.ssrc, blocks=(DelaySinceLastReceiverReport(receivers=(receiver,)),))]
