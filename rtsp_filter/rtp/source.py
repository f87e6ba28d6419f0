"""What was received from one source: sequence numbers, loss and jitter (RFC 3550, appendices A.1, A.3 and A.8).

Two changes to the appendix, both because a source here was negotiated by SETUP: its first packet counts at once (no
probation), and a late packet from before the first one moves the beginning back, so that reordering at the start is
no negative loss. Besides, duplicates are told from late packets by a window of what has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.rtp import clock
from rtsp_filter.rtp.rtcp import ReportBlock, SenderReport

MAXIMUM_DROPOUT = 3_000
"""Packets. A forward jump of fewer is loss, of more a restarted sender (RFC 3550, A.1)."""

MAXIMUM_MISORDER = 100
"""Packets. One that is up to this late is reordered or a duplicate, a later one a restarted sender (A.1)."""

_SEQUENCES = 1 << 16
_TIMESTAMPS = 1 << 32
_JITTER_GAIN = 16
_WINDOW_MASK = (1 << (MAXIMUM_MISORDER + 1)) - 1
_MOST_LOST = (1 << 23) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Packets of one or more sources. `packets` without duplicates; `bytes` of all that came, RTP headers included."""

    packets: int = 0
    bytes: int = 0
    expected: int = 0
    reordered: int = 0
    duplicates: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            packets=self.packets + other.packets,
            bytes=self.bytes + other.bytes,
            expected=self.expected + other.expected,
            reordered=self.reordered + other.reordered,
            duplicates=self.duplicates + other.duplicates,
        )


class SourceStatistics:
    """Reception of one SSRC. `clock_rate` in Hz."""

    __slots__ = (
        "_base",
        "_bytes",
        "_clock_rate",
        "_duplicates",
        "_earlier_expected",
        "_earlier_packets",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_last_arrival",
        "_last_sr",
        "_last_sr_arrival",
        "_last_timestamp",
        "_packets",
        "_received",
        "_received_prior",
        "_reordered",
        "_restart_at",
        "_ssrc",
        "_window",
    )

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self._ssrc = ssrc
        self._clock_rate = clock_rate
        # Sequence numbers are extended by the cycles: they only grow.
        self._highest: int | None = None
        self._base = 0
        # Bit n says that `highest - n` has arrived.
        self._window = 0
        self._restart_at: int | None = None
        # Of the present run of sequence numbers; `received` counts duplicates too, as reports must.
        self._packets = self._received = 0
        self._expected_prior = self._received_prior = 0
        # Of the runs before a restart.
        self._earlier_packets = self._earlier_expected = 0
        self._bytes = self._reordered = self._duplicates = 0
        self._jitter = 0.0
        self._last_arrival: float | None = None
        self._last_timestamp = 0
        self._last_sr = 0
        self._last_sr_arrival = 0.0

    def packet_received(self, *, sequence: int, timestamp: int, size: int, now: float) -> None:
        """A packet of `size` bytes came at `now` (seconds)."""
        self._bytes += size
        if self._highest is None:
            self._start(sequence)
        elif not self._continue(self._highest, sequence):
            return
        self._update_jitter(timestamp, now)

    def sender_report_received(self, report: SenderReport, now: float) -> None:
        """The source's own report came at `now`; later report blocks refer to it."""
        self._last_sr = clock.compact(report.ntp)
        self._last_sr_arrival = now

    @property
    def counts(self) -> Counts:
        """Everything since the source was first heard."""
        return Counts(
            packets=self._earlier_packets + self._packets,
            bytes=self._bytes,
            expected=self._earlier_expected + self._expected,
            reordered=self._reordered,
            duplicates=self._duplicates,
        )

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter / self._clock_rate

    def report_block(self, now: float) -> ReportBlock | None:
        """What to tell the source; None when nothing came since the last call."""
        received = self._received - self._received_prior
        if self._highest is None or received == 0:
            return None
        expected = self._expected - self._expected_prior
        self._expected_prior, self._received_prior = self._expected, self._received
        lost = max(expected - received, 0)
        cumulative = self._expected - self._received
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=min(lost * 256 // expected, 255) if expected > 0 else 0,
            cumulative_lost=max(min(cumulative, _MOST_LOST), -_MOST_LOST),
            highest_sequence=self._highest % _TIMESTAMPS,
            jitter=min(int(self._jitter), _TIMESTAMPS - 1),
            last_sr=self._last_sr,
            delay_since_last_sr=clock.compact_duration(now - self._last_sr_arrival) if self._last_sr else 0,
        )

    @property
    def _expected(self) -> int:
        return 0 if self._highest is None else self._highest - self._base + 1

    def _start(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._window = 1
        self._packets = self._received = 1
        self._expected_prior = self._received_prior = 0
        self._restart_at = None
        self._last_arrival = None

    def _continue(self, highest: int, sequence: int) -> bool:
        """Count a packet of a source that is known; False when it may be a stray."""
        ahead = (sequence - highest) % _SEQUENCES
        if 0 < ahead < MAXIMUM_DROPOUT:
            self._advance(highest, ahead)
            return True
        behind = -ahead % _SEQUENCES
        if behind <= MAXIMUM_MISORDER:
            return self._late(highest, behind)
        return self._jump(sequence)

    def _advance(self, highest: int, ahead: int) -> None:
        self._highest = highest + ahead
        self._window = (self._window << ahead | 1) & _WINDOW_MASK
        self._packets += 1
        self._received += 1
        self._restart_at = None

    def _late(self, highest: int, behind: int) -> bool:
        """Count a late packet; False when it came before."""
        self._received += 1
        if self._window >> behind & 1:
            self._duplicates += 1
            return False
        self._window |= 1 << behind
        self._packets += 1
        self._reordered += 1
        self._base = min(self._base, highest - behind)
        return True

    def _jump(self, sequence: int) -> bool:
        """Two packets in a row far from the rest mean that the sender has started anew (A.1)."""
        if sequence != self._restart_at:
            self._restart_at = (sequence + 1) % _SEQUENCES
            return False
        self._earlier_packets += self._packets
        self._earlier_expected += self._expected
        self._start((sequence - 1) % _SEQUENCES)
        self._advance(self._base, 1)
        return True

    def _update_jitter(self, timestamp: int, now: float) -> None:
        if self._last_arrival is not None:
            sent = (timestamp - self._last_timestamp + _TIMESTAMPS // 2) % _TIMESTAMPS - _TIMESTAMPS // 2
            difference = abs((now - self._last_arrival) * self._clock_rate - sent)
            self._jitter += (difference - self._jitter) / _JITTER_GAIN
        self._last_arrival = now
        self._last_timestamp = timestamp
