"""Frames are put together from chunks cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import FrameAssembler, InterleavedChunk, Parser, encode_frame


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=8), st.integers(1, 40))
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, bytes]], step: int) -> None:
    stream = b"".join(encode_frame(channel, payload) for channel, payload in frames)
    parser, assembler = Parser(), FrameAssembler()
    found: list[tuple[int, bytes]] = []
    for at in range(0, len(stream), step):
        parser.receive_data(stream[at : at + step])
        for event in iter(parser.next_event, None):
            assert isinstance(event, InterleavedChunk)
            found += assembler.receive_chunk(event)
    assert found == frames


@pytest.mark.parametrize(("channel", "size"), [(256, 0), (-1, 0), (0, 65536)])
def test_what_does_not_fit_a_frame_is_refused(channel: int, size: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        encode_frame(channel, bytes(size))


def test_the_largest_payload_fits() -> None:
    assert encode_frame(255, bytes(65535))[:4] == b"$\xff\xff\xff"


def test_the_rest_of_a_frame_whose_beginning_was_given_to_nobody_is_no_frame() -> None:
    parser, assembler = Parser(), FrameAssembler()
    stream = encode_frame(0, b"$\x00\x00\x01xx") + encode_frame(1, b"next")
    parser.receive_data(stream[:4])
    assert parser.next_event() is not None  # not for this assembler
    parser.receive_data(stream[4:])
    chunk = parser.next_event()
    assert isinstance(chunk, InterleavedChunk)
    assert assembler.receive_chunk(chunk) == [(1, b"next")]
