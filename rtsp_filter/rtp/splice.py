"""One source's packets behind another's, as if they were of one: SSRC, sequence numbers and timestamps go on.

A player that was told of one source need not notice that another one took over (RFC 3550, section 7.3, does the same in
translators and mixers). Before anybody takes over nothing is changed and nothing is copied; afterwards each packet
costs a copy.
"""

from __future__ import annotations

from dataclasses import replace

from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.packet import FIXED_HEADER, parse_header
from rtsp_filter.rtp.rtcp import (
    ExtendedReport,
    Goodbye,
    RTCPPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from rtsp_filter.rtp.rtcp import ReceiverReport as Receiver

_SEQUENCE = 0xFFFF
_WORD = 0xFFFFFFFF


class Splice:
    """One track. `clock_rate` in Hz; time in seconds of any monotonic clock."""

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._last = b""  # that the receiver got
        self._last_at = 0.0
        self._awaited = False  # the first packet of another source
        self._source: int | None = None  # whose packets are changed
        self._shown = 0  # the SSRC that the receiver knows
        self._sequence = 0  # what is added to the source's
        self._timestamp = 0

    def next_source(self) -> None:
        """What comes from now on is another source's."""
        self._awaited = bool(self._last)
        self._source = None

    def media(self, packet: bytes, now: float) -> bytes:
        """An RTP packet as the receiver gets it."""
        if self._awaited:
            self._begin(packet, now)
        if self._source is not None:
            packet = self._spliced(packet)
        self._last = packet
        self._last_at = now
        return packet

    def report(self, compound: bytes) -> bytes:
        """The sender's RTCP as the receiver gets it. A farewell is left out: the source may have gone, its session has
        not. May be empty: then there is nothing to send."""
        try:
            packets = parse_compound(compound)
        except RTPError:
            return compound
        if self._source is None and not any(isinstance(packet, Goodbye) for packet in packets):
            return b"" if self._awaited else compound
        return serialize_compound(self._of_sender(packet) for packet in packets if not isinstance(packet, Goodbye))

    def feedback(self, compound: bytes) -> bytes:
        """The receiver's RTCP as the sender gets it."""
        if self._source is None:
            return compound
        try:
            return serialize_compound(self._of_receiver(packet) for packet in parse_compound(compound))
        except RTPError:
            return compound

    def _begin(self, packet: bytes, now: float) -> None:
        """The first packet follows the last one of before, as late as it comes."""
        try:
            before, first = parse_header(self._last), parse_header(packet)
        except RTPError:
            return
        elapsed = round((now - self._last_at) * self._clock_rate)
        self._awaited = False
        self._source, self._shown = first.ssrc, before.ssrc
        self._sequence = before.sequence + 1 - first.sequence
        self._timestamp = before.timestamp + elapsed - first.timestamp

    def _spliced(self, packet: bytes) -> bytes:
        if len(packet) < FIXED_HEADER.size:
            return packet
        first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(packet)
        if ssrc != self._source:
            return packet
        header = FIXED_HEADER.pack(
            first,
            second,
            (sequence + self._sequence) & _SEQUENCE,
            (timestamp + self._timestamp) & _WORD,
            self._shown,
        )
        return header + packet[FIXED_HEADER.size :]

    def _of_sender(self, packet: RTCPPacket) -> RTCPPacket:
        if self._source is None:
            return packet
        if isinstance(packet, SenderReport) and packet.ssrc == self._source:
            return replace(packet, ssrc=self._shown, rtp_timestamp=(packet.rtp_timestamp + self._timestamp) & _WORD)
        if isinstance(packet, Receiver | ExtendedReport) and packet.ssrc == self._source:
            return replace(packet, ssrc=self._shown)
        if isinstance(packet, SourceDescription):
            chunks = (replace(each, ssrc=self._shown_for(each.ssrc)) for each in packet.chunks)
            return SourceDescription(chunks=tuple(chunks))
        return packet

    def _shown_for(self, ssrc: int) -> int:
        return self._shown if ssrc == self._source else ssrc

    def _of_receiver(self, packet: RTCPPacket) -> RTCPPacket:
        if not isinstance(packet, Receiver | SenderReport):
            return packet
        source = self._source
        reports = tuple(
            replace(each, ssrc=source, highest_sequence=(each.highest_sequence - self._sequence) & _WORD)
            if each.ssrc == self._shown and source is not None
            else each
            for each in packet.reports
        )
        return replace(packet, reports=reports)
