from rtsp_filter.player.track import TrackReceiver
from rtsp_filter.rtp import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    LastReceiverReport,
    ReceiverReferenceTime,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    build_header,
    clock,
    parse_compound,
    serialize_compound,
)

OURS, THEIRS = 7, 9


def new_receiver() -> TrackReceiver:
    return TrackReceiver(media="video", codec="H264", clock_rate=90_000, ssrc=OURS, cname="me")


def answer(report: bytes, *, ssrc: int = OURS, delay: float) -> bytes:
    """What a sender that knows extended reports makes of a receiver's report."""
    reference = parse_compound(report)[2].blocks[0]  # type: ignore[union-attr]
    last = LastReceiverReport(ssrc=ssrc, last_rr=clock.compact(reference.ntp), delay=clock.compact_duration(delay))
    block = DelaySinceLastReceiverReport(receivers=(last,))
    return serialize_compound([ExtendedReport(ssrc=THEIRS, blocks=(block,))])


def test_a_report_carries_our_reception_our_name_and_our_clock() -> None:
    receiver = new_receiver()
    header = build_header(payload_type=96, marker=False, sequence=5, timestamp=0, ssrc=THEIRS)
    receiver.rtp_received(header, 1.0)
    report, description, extended = parse_compound(receiver.receiver_report(2.0))
    assert isinstance(report, ReceiverReport)
    assert (report.ssrc, report.reports[0].ssrc, report.reports[0].highest_sequence) == (OURS, THEIRS, 5)
    assert description == SourceDescription.of_cname(OURS, "me")
    assert extended == ExtendedReport(ssrc=OURS, blocks=(ReceiverReferenceTime(ntp=clock.ntp_timestamp(2.0)),))


def test_the_round_trip_is_the_time_to_the_answer_less_the_time_held() -> None:
    receiver = new_receiver()
    report = receiver.receiver_report(100.0)
    receiver.rtcp_received(answer(report, delay=0.8), 100.825)
    measured = receiver.report(101.0).round_trip_ms
    assert measured is not None
    assert abs(measured - 25.0) < 0.1


def test_an_answer_to_another_receiver_is_no_round_trip_of_ours() -> None:
    receiver = new_receiver()
    report = receiver.receiver_report(100.0)
    receiver.rtcp_received(answer(report, ssrc=OURS + 1, delay=0.0), 100.5)
    assert receiver.report(101.0).round_trip_ms is None


def test_an_impossible_answer_keeps_the_last_round_trip() -> None:
    receiver = new_receiver()
    report = receiver.receiver_report(100.0)
    receiver.rtcp_received(answer(report, delay=0.0), 100.5)
    receiver.rtcp_received(answer(report, delay=9.0), 100.6)
    assert receiver.report(101.0).round_trip_ms == 500.0


def test_sender_reports_are_counted() -> None:
    receiver = new_receiver()
    report = SenderReport(ssrc=THEIRS, ntp=1, rtp_timestamp=0, packet_count=0, octet_count=0)
    receiver.rtcp_received(serialize_compound([report]), 1.0)
    assert receiver.report(1.0).sender_reports == 1


def test_what_is_no_packet_is_counted_and_is_no_media() -> None:
    receiver = new_receiver()
    receiver.rtp_received(b"hello", 1.0)
    receiver.rtcp_received(b"hello", 1.0)
    assert receiver.report(1.0).malformed == 2
    assert receiver.first_packet_at is None


def test_an_ended_session_tells_its_average_bit_rate() -> None:
    receiver = new_receiver()
    header = build_header(payload_type=96, marker=False, sequence=5, timestamp=0, ssrc=THEIRS)
    receiver.rtp_received(header + bytes(988), 1.0)
    assert receiver.report(1.5).bitrate_bps == 8_000
    assert receiver.report(5.0, duration=4.0).bitrate_bps == 2_000
