from itertools import pairwise

import pytest

from rtsp_filter.rtp import Clip, ClipTrack, RTPError

CLIP = Clip.load()
VIDEO, AUDIO = CLIP.tracks


def test_both_tracks_last_eight_seconds() -> None:
    assert CLIP.duration == 8.0
    assert [track.duration for track in CLIP.tracks] == [8 * 90_000, 8 * 48_000]


@pytest.mark.parametrize("track", CLIP.tracks, ids=lambda track: track.media)
def test_repeating_leaves_no_gap_in_the_timestamps(track: ClipTrack) -> None:
    times = [track.unit(number)[0] for number in range(3 * len(track.units))]
    assert len({later - earlier for earlier, later in pairwise(times)}) == 1
    assert times[-1] + times[1] == 3 * track.duration


def test_a_key_frame_comes_every_second_with_its_parameter_sets() -> None:
    assert [unit.pts for unit in VIDEO.units if unit.key_frame] == [second * 90_000 for second in range(8)]
    first = VIDEO.units[25].payloads
    assert [payload.data[0] & 0x1F for payload in first[:3]] == [7, 8, 28]


@pytest.mark.parametrize("track", CLIP.tracks, ids=lambda track: track.media)
def test_every_access_unit_fits_its_packets_and_ends_with_the_marker(track: ClipTrack) -> None:
    for unit in track.units:
        assert [payload.marker for payload in unit.payloads] == [False] * (len(unit.payloads) - 1) + [True]
        assert all(len(payload.data) <= 1_188 for payload in unit.payloads)


def test_the_descriptions_name_the_codecs_and_their_parameters() -> None:
    assert VIDEO.sdp_lines[1] == "a=rtpmap:96 H264/90000"
    assert "sprop-parameter-sets=Z01AH" in VIDEO.sdp_lines[2]
    assert AUDIO.sdp_lines[1] == "a=rtpmap:97 MPEG4-GENERIC/48000/1"
    assert AUDIO.sdp_lines[2].endswith("config=1188")


def test_tracks_of_different_lengths_are_refused() -> None:
    frame = bytes.fromhex("fff14c40011ffc00")
    with pytest.raises(RTPError, match="must be equal"):
        Clip.parse(video=b"\0\0\1\x67\x4d\x40\x1e\0\0\1\x68\xe9\0\0\1\x65\x88", audio=frame)
