"""What was received on one track, whichever sources it came from.

A sender that restarts changes its SSRC; each SSRC has its own sequence numbers and clock, so it is counted by itself
and only the sums are the track's.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.rtp.packet import RTPHeader
from rtsp_filter.rtp.rate import BitRate
from rtsp_filter.rtp.rtcp import ReportBlock, SenderReport
from rtsp_filter.rtp.source import Counts, SourceStatistics

MAXIMUM_SOURCES = 8
"""SSRCs that are followed at once; more than one is a restart, many are an attack on our memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionFigures:
    """A track so far.

    `packets` without duplicates, `bytes` with RTP headers, `lost` packets and its share `fraction_lost` of all that
    were sent (0 to 1), `jitter` in seconds and of the latest source, `bit_rate` in bit/s over the last second.
    """

    ssrc: int | None
    packets: int
    bytes: int
    lost: int
    fraction_lost: float
    reordered: int
    duplicates: int
    jitter: float
    bit_rate: float
    sender_reports: int


class ReceptionStatistics:
    """Counts what is received on one track. `clock_rate` in Hz."""

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        # In the order in which they were last heard.
        self._sources: dict[int, SourceStatistics] = {}
        self._forgotten = Counts()
        self._latest: int | None = None
        self._rate = BitRate()
        self._sender_reports = 0

    def received(self, header: RTPHeader, *, size: int, now: float) -> None:
        """An RTP packet of `size` bytes came at `now` (seconds)."""
        if header.ssrc == self._latest:
            source = self._sources[header.ssrc]
        else:
            source = self._source(header.ssrc)
            self._latest = header.ssrc
        source.packet_received(sequence=header.sequence, timestamp=header.timestamp, size=size, now=now)
        self._rate.add(size, now)

    def sender_report_received(self, report: SenderReport, *, now: float) -> None:
        """An RTCP sender report came at `now`."""
        self._sender_reports += 1
        if report.ssrc in self._sources:
            self._sources[report.ssrc].sender_report_received(report, now)

    def report_blocks(self, now: float) -> tuple[ReportBlock, ...]:
        """A block for every source heard since the last call (RFC 3550, section 6.4)."""
        blocks = (source.report_block(now) for source in self._sources.values())
        return tuple(block for block in blocks if block)

    def figures(self, now: float) -> ReceptionFigures:
        """Everything so far, as of `now`; asking changes nothing."""
        counts = sum((source.counts for source in self._sources.values()), self._forgotten)
        lost = counts.expected - counts.packets
        return ReceptionFigures(
            ssrc=self._latest,
            packets=counts.packets,
            bytes=counts.bytes,
            lost=lost,
            fraction_lost=lost / counts.expected if counts.expected else 0.0,
            reordered=counts.reordered,
            duplicates=counts.duplicates,
            jitter=0.0 if self._latest is None else self._sources[self._latest].jitter,
            bit_rate=self._rate.at(now),
            sender_reports=self._sender_reports,
        )

    def _source(self, ssrc: int) -> SourceStatistics:
        """The statistics of `ssrc`, now the last in order."""
        source = self._sources.pop(ssrc, None)
        if source is None:
            source = SourceStatistics(ssrc, self._clock_rate)
            if len(self._sources) == MAXIMUM_SOURCES:
                oldest = next(iter(self._sources))
                self._forgotten += self._sources.pop(oldest).counts
        self._sources[ssrc] = source
        return source
