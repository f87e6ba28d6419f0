"""A session sends what is due of all its tracks at once."""

from __future__ import annotations

from rtsp_filter.camera.impairment import Impairment
from rtsp_filter.camera.session import (
    MAX_BEHIND,
    REPORT_INTERVAL,
    CameraSession,
    SessionTrack,
    TCPTarget,
)
from rtsp_filter.camera.stream import TrackStream
from rtsp_filter.rtp import Clip, SenderReport, parse_compound, parse_header
from rtsp_filter.rtsp import Pair, State

CLIP = Clip.load()
PERFECT = Impairment(loss=0, jitter=0, seed=0)


def playing(now: float = 0.0) -> CameraSession:
    session = CameraSession(id="s", cname="c", path="/", last_active=now, state=State.PLAYING)
    for number, track in enumerate(CLIP.tracks):
        stream = TrackStream(track, impairment=PERFECT, cname="c", unix_offset=0)
        target = TCPTarget(connection=1, channels=Pair(2 * number, 2 * number + 1))
        session.tracks[number] = SessionTrack(url=f"t{number}", stream=stream, target=target)
    session.play(now)
    return session


def test_the_first_packets_and_reports_go_at_once_for_both_tracks() -> None:
    session = playing(5.0)
    assert session.next_timer() == 5.0
    for batch in session.take_due(5.0):
        assert batch.rtp
        assert isinstance(parse_compound(batch.rtcp[0])[0], SenderReport)


def test_reports_come_at_their_interval() -> None:
    session = playing()
    assert all(batch.rtcp for batch in session.take_due(0.0))
    assert not any(batch.rtcp for batch in session.take_due(REPORT_INTERVAL - 0.1))
    assert all(batch.rtcp for batch in session.take_due(REPORT_INTERVAL))


def test_following_the_timer_sends_everything_once_and_in_time() -> None:
    session = playing()
    sent = 0
    while (due := session.next_timer() or 0.0) < CLIP.duration - 0.01:
        sent += sum(len(batch.rtp) for batch in session.take_due(due))
    assert sent == sum(len(unit.payloads) for track in CLIP.tracks for unit in track.units)


def test_after_a_stall_the_stream_goes_on_where_it_was() -> None:
    session = playing()
    session.take_due(0.0)
    numbers = [info.seq for info in session.rtp_info()]
    batches = session.take_due(60.0)
    firsts = [parse_header(batch.rtp[0]).sequence for batch in batches if batch.rtp]
    assert set(firsts) <= set(numbers)
    assert sum(len(batch.rtp) for batch in batches) < 10
    assert (session.next_timer() or 0.0) > 60.0 - MAX_BEHIND


def test_a_session_that_does_not_play_has_no_timer() -> None:
    session = playing()
    session.state = State.READY
    assert session.next_timer() is None
    assert session.take_due(100.0) == []
