"""One track: packets in time, without a gap at the clip's end, and what its reports say."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rtsp_filter.camera.impairment import Impairment
from rtsp_filter.camera.stream import TrackStream
from rtsp_filter.rtp import (
    Clip,
    DelaySinceLastReceiverReport,
    ExtendedReport,
    Goodbye,
    ReceiverReferenceTime,
    ReceiverReport,
    RTPHeader,
    SenderReport,
    SourceDescription,
    clock,
    parse_compound,
    parse_header,
    serialize_compound,
)

CLIP = Clip.load()
VIDEO, AUDIO = CLIP.tracks


def stream(track: int = 0, loss: float = 0.0, jitter: float = 0.0, seed: int = 1) -> TrackStream:
    impairment = Impairment(loss=loss, jitter=jitter, seed=seed)
    return TrackStream(CLIP.tracks[track], impairment=impairment, cname="c", unix_offset=1000.0)


def headers(packets: list[bytes]) -> list[RTPHeader]:
    return [parse_header(packet) for packet in packets]


def test_a_picture_is_sent_when_it_is_due_and_once() -> None:
    video = stream()
    video.play(10.0)
    assert video.due == 10.0
    first = video.take_due(10.0)
    assert len(first) == len(VIDEO.units[0].payloads)
    assert video.take_due(10.039) == []
    assert len(video.take_due(10.04)) == len(VIDEO.units[1].payloads)


@pytest.mark.parametrize("track", [0, 1])
def test_numbers_and_times_go_on_over_the_end_of_the_clip(track: int) -> None:
    sender = stream(track)
    sender.play(0.0)
    sent = headers(sender.take_due(CLIP.duration * 2.5))
    step = VIDEO.clock_rate // 25 if track == 0 else 1024
    assert all((b.sequence - a.sequence) % 65536 == 1 for a, b in pairwise(sent))
    assert {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(sent)} <= {0, step}
    assert {header.ssrc for header in sent} == {sender.ssrc}


def test_rtp_info_tells_the_next_packet() -> None:
    video = stream()
    video.play(0.0)
    video.take_due(0.5)
    info = video.rtp_info("rtsp://h/t")
    (first, *_) = headers(video.take_due(0.56))
    assert (info.seq, info.rtptime) == (first.sequence, first.timestamp)


def test_lost_packets_are_numbered_but_not_sent_and_the_same_every_time() -> None:
    runs = []
    for _ in range(2):
        bad = stream(loss=0.3)
        bad.play(0.0)
        numbers = [header.sequence for header in headers(bad.take_due(20.0))]
        runs.append([(number - numbers[0]) % 65536 for number in numbers])
    assert runs[0] == runs[1]
    missing = 1 - len(runs[0]) / (runs[0][-1] + 1)
    assert 0.25 < missing < 0.35


def test_jitter_makes_pictures_late_but_not_reordered() -> None:
    bad = stream(jitter=0.2)
    bad.play(0.0)
    start = bad.rtp_info("").rtptime or 0
    late, numbers = [], []
    while bad.due < 5.0:
        due = bad.due
        sent = headers(bad.take_due(due))
        numbers += [header.sequence for header in sent]
        late += [due - (header.timestamp - start) % 2**32 / VIDEO.clock_rate for header in sent]
    assert all(-1e-9 <= value <= 0.2 + 1e-9 for value in late)
    assert max(late) > 0.1
    assert all((b - a) % 65536 == 1 for a, b in pairwise(numbers))


def test_a_report_maps_wall_clock_to_media_time_and_counts() -> None:
    audio = stream(1)
    first = audio.rtp_info("").rtptime or 0
    audio.play(5.0)
    sent = audio.take_due(7.0)
    report, description = parse_compound(audio.report(7.0))
    assert isinstance(report, SenderReport)
    assert report.ntp == clock.ntp_timestamp(1007.0)
    assert report.rtp_timestamp == (first + 2 * AUDIO.clock_rate) % 2**32
    assert (report.packet_count, report.octet_count) == (len(sent), sum(map(len, sent)) - 12 * len(sent))
    assert description == SourceDescription.of_cname(audio.ssrc, "c")


def test_a_receiver_that_tells_its_time_gets_it_back_with_the_delay() -> None:
    video = stream()
    video.play(0.0)
    reference = ExtendedReport(ssrc=77, blocks=(ReceiverReferenceTime(ntp=0x1122334455667788),))
    video.receive_report(serialize_compound([ReceiverReport(ssrc=77), reference]), 1.0)
    answer = parse_compound(video.report(1.5))[-1]
    assert isinstance(answer, ExtendedReport)
    (block,) = answer.blocks
    assert isinstance(block, DelaySinceLastReceiverReport)
    (receiver,) = block.receivers
    assert (receiver.ssrc, receiver.last_rr, receiver.delay) == (77, 0x33445566, 32768)


def test_garbage_for_a_report_is_ignored() -> None:
    video = stream()
    video.receive_report(b"\x80\xc9", 0.0)
    assert len(parse_compound(video.report(0.0))) == 2


def test_the_last_compound_says_goodbye() -> None:
    video = stream()
    assert parse_compound(video.goodbye(1.0))[-1] == Goodbye(ssrcs=(video.ssrc,))
