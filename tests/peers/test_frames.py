"""What counts as the clip, the whole clip and nothing but the clip."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.frames import MD5Lines, Y4MStream, assert_audible, assert_contiguous

CLIP = tuple("abcdefgh")


@given(start=st.integers(0, 7), count=st.integers(1, 30))
def test_any_run_round_the_clip_is_contiguous(start: int, count: int) -> None:
    frames = [CLIP[(start + number) % len(CLIP)] for number in range(count)]
    assert_contiguous(frames, CLIP, minimum=count)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ("abcef", "1 jumps in 5 frames, 0 allowed; clip frames 2 -> 4"),
        ("abcc", "clip frames 2 -> 2"),
        ("abxde", "1 of 5 decoded frames are not in the clip, the first is number 2"),
        ("abc", "3 frames in one piece, wanted 4"),
    ],
)
def test_what_is_wrong_with_the_frames_is_told(frames: Sequence[str], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_contiguous(frames, CLIP, minimum=4)


def test_an_end_that_must_not_be_passed_is_a_jump() -> None:
    with pytest.raises(AssertionError, match="clip frames 7 -> 0"):
        assert_contiguous("ghab", CLIP, minimum=1, loop=False)


def test_allowed_jumps_leave_a_piece_of_the_wanted_length() -> None:
    assert_contiguous("abcefgh", CLIP, minimum=4, breaks=1)
    with pytest.raises(AssertionError, match="4 frames in one piece, wanted 5"):
        assert_contiguous("abcefgh", CLIP, minimum=5, breaks=1)


def test_a_clip_that_repeats_a_frame_is_no_reference() -> None:
    with pytest.raises(AssertionError, match="repeats a frame"):
        assert_contiguous("ab", "abca", minimum=1)


def test_silence_and_too_little_sound_are_told() -> None:
    loud = struct.pack("<8000h", *([0, 20_000] * 4000))
    assert_audible(loud, seconds=1, rate=8000, channels=1)
    with pytest.raises(AssertionError, match="wanted 2 s"):
        assert_audible(loud, seconds=2, rate=8000, channels=1)
    with pytest.raises(AssertionError, match="silent"):
        assert_audible(bytes(16_000), seconds=1, rate=8000, channels=1)


@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_pictures_are_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    pictures = [bytes([number]) * 24 for number in (1, 2, 2, 3)]
    stream = b"YUV4MPEG2 W4 H4 F25:1 Ip A1:1\n" + b"".join(b"FRAME\n" + picture for picture in pictures)
    reader = Y4MStream()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(places):
        reader.feed(stream[start:end])
    sums = [hashlib.md5(picture, usedforsecurity=False).hexdigest() for picture in pictures]
    assert reader.frames == [sums[0], sums[1], sums[3]]


def test_sums_are_the_last_words_of_lines_that_are_no_comments() -> None:
    reader = MD5Lines()
    reader.feed(b"#format: frame checksums\n0, 0, 0, 1, 115200, aa")
    reader.feed(b"bb\n0:00:00.04 ccdd\n")
    assert reader.frames == ["aabb", "ccdd"]
