"""A source that takes over from another goes on where that one was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp.packet import RTPPacket, parse_header
from rtsp_filter.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from rtsp_filter.rtp.splice import Splice

CLOCK = 90_000


def _packet(ssrc: int, sequence: int, timestamp: int, payload: bytes = b"picture") -> bytes:
    return RTPPacket(
        payload_type=96, sequence=sequence & 0xFFFF, timestamp=timestamp & 0xFFFFFFFF, ssrc=ssrc, payload=payload
    ).serialize()


def _sender_report(ssrc: int, rtp_timestamp: int) -> SenderReport:
    return SenderReport(ssrc=ssrc, ntp=7, rtp_timestamp=rtp_timestamp, packet_count=1, octet_count=1)


def _taken_over(sequence: int = 65_535, timestamp: int = 1_000) -> Splice:
    """A splice whose second source has sent its first packet, half a second after the last one of the first."""
    splice = Splice(CLOCK)
    splice.media(_packet(1, sequence, timestamp), 10.0)
    splice.next_source()
    splice.media(_packet(2, 500, 77_000), 10.5)
    return splice


def test_before_anybody_takes_over_everything_passes_as_it_is() -> None:
    splice = Splice(CLOCK)
    packet = _packet(1, 5, 6)
    report = serialize_compound([_sender_report(1, 6)])
    assert splice.media(packet, 0.0) is packet
    assert splice.report(report) is report
    assert splice.feedback(report) is report
    assert splice.media(b"no RTP", 0.0) == b"no RTP"


@given(
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    first=st.integers(0, 0xFFFF),
    start=st.integers(0, 0xFFFFFFFF),
    steps=st.lists(st.integers(1, 5), max_size=5),
)
def test_sequence_numbers_and_timestamps_go_on_through_every_wrap(
    sequence: int, timestamp: int, first: int, start: int, steps: list[int]
) -> None:
    splice = Splice(CLOCK)
    splice.media(_packet(1, sequence, timestamp), 10.0)
    splice.next_source()
    at = 0
    for step in [0, *steps]:
        at += step
        header = parse_header(splice.media(_packet(2, first + at, start + 3_000 * at), 10.5 + at))
        assert header.ssrc == 1
        assert header.sequence == (sequence + 1 + at) & 0xFFFF
        assert header.timestamp == (timestamp + CLOCK // 2 + 3_000 * at) & 0xFFFFFFFF


def test_the_rest_of_a_packet_is_not_touched() -> None:
    splice = _taken_over()
    assert splice.media(_packet(2, 501, 80_000, b"payload"), 10.6)[12:] == b"payload"


def test_a_third_source_follows_the_second() -> None:
    splice = _taken_over(sequence=10)
    splice.media(_packet(2, 501, 80_000), 10.6)
    splice.next_source()
    header = parse_header(splice.media(_packet(3, 9_000, 0), 11.6))
    assert (header.ssrc, header.sequence) == (1, 13)
    assert header.timestamp == 1_000 + CLOCK // 2 + 3_000 + CLOCK


def test_the_senders_reports_are_of_the_source_that_the_receiver_knows() -> None:
    splice = _taken_over()
    compound = serialize_compound([_sender_report(2, 77_000), SourceDescription.of_cname(2, "camera")])
    report, description = parse_compound(splice.report(compound))
    assert report == _sender_report(1, 1_000 + CLOCK // 2)
    assert description == SourceDescription.of_cname(1, "camera")


def test_reports_that_come_before_the_first_packet_of_another_source_are_held_back() -> None:
    splice = Splice(CLOCK)
    splice.media(_packet(1, 5, 6), 0.0)
    splice.next_source()
    assert splice.report(serialize_compound([_sender_report(2, 77_000)])) == b""


def test_a_source_that_says_farewell_ends_nothing() -> None:
    splice = Splice(CLOCK)
    splice.media(_packet(1, 5, 6), 0.0)
    kept = splice.report(serialize_compound([_sender_report(1, 6), Goodbye(ssrcs=(1,))]))
    assert parse_compound(kept) == (_sender_report(1, 6),)
    assert splice.report(serialize_compound([Goodbye(ssrcs=(1,))])) == b""


def test_what_the_receiver_reports_is_about_the_source_that_sends() -> None:
    splice = _taken_over(sequence=65_535)
    block = ReportBlock(
        ssrc=1, fraction_lost=0, cumulative_lost=0, highest_sequence=65_536, jitter=0, last_sr=0, delay_since_last_sr=0
    )
    [report] = parse_compound(splice.feedback(serialize_compound([ReceiverReport(ssrc=9, reports=(block,))])))
    assert isinstance(report, ReceiverReport)
    assert [(each.ssrc, each.highest_sequence) for each in report.reports] == [(2, 500)]
    assert report.ssrc == 9


def test_bytes_that_are_no_rtcp_pass() -> None:
    splice = _taken_over()
    assert splice.report(b"what") == b"what"
    assert splice.feedback(b"what") == b"what"
