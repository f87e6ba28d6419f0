"""What a shadow session measures of its tracks."""

from __future__ import annotations

from rtsp_filter.player.core import TRACK_SILENCE_LIMIT
from rtsp_filter.player.track import TrackReceiver
from rtsp_filter.proxy.shadows.shadow_core import Quality, measured
from rtsp_filter.rtp import build_header


def _receiver(media: str = "video") -> TrackReceiver:
    return TrackReceiver(media=media, codec="H264", clock_rate=90_000, ssrc=1, cname="me")


def _receive(receiver: TrackReceiver, sequence: int, now: float) -> None:
    header = build_header(payload_type=96, marker=False, sequence=sequence, timestamp=round(now * 90_000), ssrc=2)
    receiver.rtp_received(header + b"media", now)


def test_the_share_lost_is_of_the_packets_of_all_tracks() -> None:
    video, audio = _receiver(), _receiver("audio")
    for sequence in (0, 1, 2, 4, 5, 9):
        _receive(video, sequence, 10.0)
    for sequence in range(10):
        _receive(audio, sequence, 10.0)
    quality = measured([video, audio], playing_since=9.0, now=10.0)
    assert (quality.packets, quality.lost) == (16, 4 / 20)


def test_jitter_is_that_of_the_worst_track_in_seconds() -> None:
    even, uneven = _receiver(), _receiver("audio")
    for sequence in range(200):
        _receive(even, sequence, sequence * 0.04)
        header = build_header(payload_type=96, marker=False, sequence=sequence, timestamp=sequence * 3600, ssrc=2)
        uneven.rtp_received(header, sequence * 0.04 + (sequence % 2) * 0.01)
    quality = measured([even, uneven], playing_since=0.0, now=8.0)
    assert abs(quality.jitter - 0.01) < 0.001


def test_a_track_of_video_that_sends_nothing_is_silent_and_one_of_events_is_not() -> None:
    audio, video, events = _receiver("audio"), _receiver(), _receiver("application")
    _receive(video, 1, 100.0)
    _receive(audio, 1, 103.0)
    tracks, limit = (audio, video, events), TRACK_SILENCE_LIMIT
    assert measured(tracks, playing_since=99.0, now=103.5).silent_seconds == 3.5
    assert not measured(tracks, playing_since=99.0, now=100 + limit - 0.1).silent
    assert measured(tracks, playing_since=99.0, now=100 + limit).silent
    assert not measured([events], playing_since=0.0, now=100.0).silent


def test_a_track_that_never_sent_is_silent_since_it_plays() -> None:
    assert measured([_receiver()], playing_since=50.0, now=51.5).silent_seconds == 1.5


def test_nothing_received_is_nothing_lost() -> None:
    assert measured([_receiver()], playing_since=5.0, now=5.0) == Quality()
