"""Checklist 49: sequence wrap, SSRC change, reorder and duplicates give the right loss and jitter."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp import ReceptionFigures, ReceptionStatistics, RTPHeader, SenderReport

RATE = 90_000
SPACING = 0.01
SIZE = 100


def header(number: int, *, ssrc: int = 1) -> RTPHeader:
    """Packet `number` of a source that sends one each SPACING; its sequence number and timestamp wrap."""
    ticks = int(number * SPACING * RATE)
    return RTPHeader(96, False, number % 2**16, ticks % 2**32, ssrc)


def receive(numbers: list[int], *, ssrc: int = 1) -> ReceptionStatistics:
    """Each packet arrives when it should, or when it is its turn."""
    statistics = ReceptionStatistics(RATE)
    for turn, number in enumerate(numbers):
        statistics.received(header(number, ssrc=ssrc), size=SIZE, now=turn * SPACING)
    return statistics


def figures(numbers: list[int]) -> ReceptionFigures:
    return receive(numbers).figures(len(numbers) * SPACING)


def test_nothing_received_is_nothing_lost() -> None:
    empty = ReceptionStatistics(RATE)
    assert empty.report_blocks(1.0) == ()
    assert empty.figures(1.0) == ReceptionFigures(
        ssrc=None,
        packets=0,
        bytes=0,
        lost=0,
        fraction_lost=0.0,
        reordered=0,
        duplicates=0,
        jitter=0.0,
        bit_rate=0.0,
        sender_reports=0,
    )


@pytest.mark.parametrize("start", [0, 65_000, 65_535])
def test_an_even_stream_has_no_loss_and_no_jitter_over_a_sequence_wrap(start: int) -> None:
    seen = figures(list(range(start, start + 1_000)))
    assert (seen.packets, seen.lost, seen.reordered, seen.duplicates) == (1_000, 0, 0, 0)
    assert seen.bytes == 1_000 * SIZE
    assert seen.jitter == pytest.approx(0.0, abs=1e-9)


def test_a_gap_over_the_wrap_is_lost() -> None:
    seen = figures([65_533, 65_534, 65_538, 65_539])
    assert (seen.packets, seen.lost) == (4, 3)
    assert seen.fraction_lost == pytest.approx(3 / 7)


def test_a_late_packet_is_reordered_and_not_lost() -> None:
    seen = figures([1, 2, 4, 5, 3, 6])
    assert (seen.packets, seen.lost, seen.reordered, seen.duplicates) == (6, 0, 1, 0)


def test_a_packet_before_the_first_is_no_negative_loss() -> None:
    assert figures([65_536, 65_535, 65_537]).lost == 0


def test_a_duplicate_does_not_hide_a_loss() -> None:
    seen = figures([1, 2, 2, 4])
    assert (seen.packets, seen.lost, seen.duplicates, seen.bytes) == (3, 1, 1, 4 * SIZE)


def test_a_duplicate_of_a_late_packet_is_known_too() -> None:
    seen = figures([1, 3, 2, 2, 4])
    assert (seen.packets, seen.lost, seen.reordered, seen.duplicates) == (4, 0, 1, 1)


def test_a_report_counts_duplicates_as_received() -> None:
    """RFC 3550, section 6.4.1."""
    (block,) = receive([1, 2, 2, 3]).report_blocks(1.0)
    assert block.cumulative_lost == -1


def test_a_sender_that_starts_anew_loses_nothing() -> None:
    seen = figures([10, 11, 12, 40_000, 40_001, 40_002])
    assert (seen.packets, seen.lost) == (6, 0)


def test_one_stray_packet_from_afar_is_not_believed() -> None:
    seen = figures([10, 11, 40_000, 12, 13])
    assert (seen.packets, seen.lost) == (4, 0)


def test_a_new_ssrc_is_a_new_source_and_no_loss() -> None:
    statistics = receive([1, 2, 4])
    for number in (500, 501):
        statistics.received(header(number, ssrc=2), size=SIZE, now=1.0)
    seen = statistics.figures(1.0)
    assert (seen.ssrc, seen.packets, seen.lost) == (2, 5, 1)
    assert {block.ssrc for block in statistics.report_blocks(1.0)} == {1, 2}


def test_a_late_packet_of_the_old_ssrc_does_not_disturb_the_new() -> None:
    statistics = ReceptionStatistics(RATE)
    for number, ssrc in ((1, 1), (2, 1), (900, 2), (3, 1), (901, 2)):
        statistics.received(header(number, ssrc=ssrc), size=SIZE, now=0.0)
    seen = statistics.figures(1.0)
    assert (seen.packets, seen.lost, seen.reordered) == (5, 0, 0)


def test_sources_are_bounded_and_their_counts_are_kept() -> None:
    statistics = ReceptionStatistics(RATE)
    for ssrc in range(1_000):
        statistics.received(header(1, ssrc=ssrc), size=SIZE, now=0.0)
    assert statistics.figures(1.0).packets == 1_000
    assert len(statistics.report_blocks(1.0)) == 8


def test_jitter_follows_the_rfc() -> None:
    statistics = ReceptionStatistics(RATE)
    for number, arrival in ((0, 0.0), (1, 0.026), (2, 0.036)):
        statistics.received(header(number), size=SIZE, now=arrival)
    once = 0.016 / 16
    assert statistics.figures(1.0).jitter == pytest.approx(once - once / 16)


def test_jitter_does_not_jump_when_timestamps_wrap() -> None:
    wrap = 2**32 // int(SPACING * RATE)
    assert figures(list(range(wrap - 5, wrap + 5))).jitter == pytest.approx(0.0, abs=1e-4)


def test_a_report_covers_what_came_since_the_last_one() -> None:
    statistics = receive([65_534, 65_535, 65_537, 65_538])
    (first,) = statistics.report_blocks(1.0)
    assert (first.fraction_lost, first.cumulative_lost, first.highest_sequence) == (256 // 5, 1, 65_538)
    assert statistics.report_blocks(2.0) == ()
    statistics.received(header(65_539), size=SIZE, now=2.0)
    (second,) = statistics.report_blocks(3.0)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 1)


def test_a_report_names_the_last_sender_report_and_its_age() -> None:
    statistics = receive([1])
    report = SenderReport(ssrc=1, ntp=0x1234_5678_9ABC_DEF0, rtp_timestamp=0, packet_count=0, octet_count=0)
    statistics.sender_report_received(report, now=10.0)
    (block,) = statistics.report_blocks(10.5)
    assert (block.last_sr, block.delay_since_last_sr) == (0x5678_9ABC, 32_768)
    assert statistics.figures(10.5).sender_reports == 1


def test_the_bit_rate_is_of_the_last_second_and_falls_when_nothing_comes() -> None:
    statistics = receive(list(range(250)))
    assert statistics.figures(2.5).bit_rate == pytest.approx(SIZE * 8 / SPACING)
    assert statistics.figures(202.0).bit_rate < 300


@given(
    start=st.integers(0, 2**16 - 1),
    copies=st.lists(st.integers(0, 3), min_size=2, max_size=300),
    order=st.randoms(use_true_random=False),
)
def test_any_loss_reorder_and_duplication_is_counted_exactly(
    start: int, copies: list[int], order: random.Random
) -> None:
    arrivals = [number for number, count in enumerate(copies) for _ in range(count)]
    # Displaced by less than what counts as a restart.
    arrivals.sort(key=lambda number: number + order.uniform(0, 40))
    seen = figures([start + number for number in arrivals])
    distinct = set(arrivals)
    assert seen.packets == len(distinct)
    assert seen.duplicates == len(arrivals) - len(distinct)
    assert seen.lost == (max(distinct) - min(distinct) + 1 - len(distinct) if distinct else 0)
