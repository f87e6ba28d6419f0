"""One track as its receiver sees it: counts RTP, answers with RTCP, measures the round trip. No I/O.

The round trip is measured from this end alone (RFC 3611, sections 4.4 and 4.5): every report carries our clock, and a
sender that knows extended reports gives it back with the time it held it.
"""

from __future__ import annotations

from rtsp_filter.player.report import TrackReport
from rtsp_filter.rtp import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    ReceiverReferenceTime,
    ReceiverReport,
    ReceptionFigures,
    ReceptionStatistics,
    RTPError,
    SenderReport,
    SourceDescription,
    clock,
    parse_compound,
    parse_header,
    serialize_compound,
)

STEADY_MEDIA = frozenset({"audio", "video"})
"""Media that send all the time. Other tracks, such as a camera's events, may have nothing to say."""


class TrackReceiver:
    """Receives one track. `clock_rate` in Hz; `ssrc` and `cname` are ours. All times are monotonic seconds."""

    def __init__(self, *, media: str, codec: str, clock_rate: int, ssrc: int, cname: str) -> None:
        self._media = media
        self._codec = codec
        self._ssrc = ssrc
        self._cname = cname
        self._statistics = ReceptionStatistics(clock_rate)
        self._malformed = 0
        self._round_trip: float | None = None
        self.first_packet_at: float | None = None
        self.last_packet_at: float | None = None

    def rtp_received(self, data: bytes, now: float) -> None:
        """A datagram or frame came for the RTP port or channel."""
        try:
            header = parse_header(data)
        except RTPError:
            self._malformed += 1
            return
        if self.first_packet_at is None:
            self.first_packet_at = now
        self.last_packet_at = now
        self._statistics.received(header, size=len(data), now=now)

    def rtcp_received(self, data: bytes, now: float) -> None:
        """A datagram or frame came for the RTCP port or channel."""
        try:
            packets = parse_compound(data)
        except RTPError:
            self._malformed += 1
            return
        for packet in packets:
            match packet:
                case SenderReport():
                    self._statistics.sender_report_received(packet, now=now)
                case ExtendedReport():
                    self._measure_round_trip(packet, now)

    def receiver_report(self, now: float) -> bytes:
        """The compound to send now: receiver report, our name, and our clock to be given back."""
        blocks = self._statistics.report_blocks(now)
        reference = ReceiverReferenceTime(ntp=clock.ntp_timestamp(now))
        return serialize_compound(
            (
                ReceiverReport(ssrc=self._ssrc, reports=blocks),
                SourceDescription.of_cname(self._ssrc, self._cname),
                ExtendedReport(ssrc=self._ssrc, blocks=(reference,)),
            )
        )

    def silence(self, now: float, *, limit: float) -> str | None:
        """What to say of a track that should send all the time and has not for `limit` seconds; None otherwise."""
        if self._media not in STEADY_MEDIA:
            return None
        if self.last_packet_at is None:
            return f"no packets on {self._media}"
        silent = now - self.last_packet_at
        return f"no packets on {self._media} for the last {silent:.0f} s" if silent >= limit else None

    def silent_seconds(self, now: float, *, since: float) -> float:
        """How long a track that should send all the time, and plays since `since`, has sent nothing; 0 of others."""
        if self._media not in STEADY_MEDIA:
            return 0.0
        return now - max(since, self.last_packet_at or since)

    def figures(self, now: float) -> ReceptionFigures:
        """What was received so far."""
        return self._statistics.figures(now)

    def report(self, now: float, *, duration: float | None = None) -> TrackReport:
        """Everything so far. With `duration`, the seconds that an ended session played, its average bit rate."""
        figures = self._statistics.figures(now)
        average = figures.bytes * 8 / duration if duration else None
        return TrackReport(
            media=self._media,
            codec=self._codec,
            ssrc=figures.ssrc,
            packets=figures.packets,
            bytes=figures.bytes,
            lost=figures.lost,
            reordered=figures.reordered,
            duplicates=figures.duplicates,
            malformed=self._malformed,
            jitter_ms=round(figures.jitter * 1_000, 3),
            bitrate_bps=round(figures.bit_rate if average is None else average),
            round_trip_ms=None if self._round_trip is None else round(self._round_trip * 1_000, 3),
            sender_reports=figures.sender_reports,
        )

    def _measure_round_trip(self, packet: ExtendedReport, now: float) -> None:
        arrival = clock.compact(clock.ntp_timestamp(now))
        for block in packet.blocks:
            if not isinstance(block, DelaySinceLastReceiverReport):
                continue
            for receiver in block.receivers:
                if receiver.ssrc == self._ssrc:
                    measured = clock.round_trip(arrival=arrival, last_report=receiver.last_rr, delay=receiver.delay)
                    self._round_trip = self._round_trip if measured is None else measured
