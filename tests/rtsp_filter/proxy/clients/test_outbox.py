"""Messages between frames: whatever comes in whatever order, no frame is torn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.proxy.clients.outbox import MAX_HELD_MESSAGES, Outbox, OutboxFullError
from rtsp_filter.rtsp import FrameAssembler, InterleavedChunk, Parser, Response, encode_frame, response_for
from rtsp_filter.rtsp.status import StatusCode

Frames = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), max_size=12)


def chunks_of(stream: bytes, cuts: list[int]) -> list[InterleavedChunk]:
    parser = Parser()
    chunks = []
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, end in pairwise(places):
        parser.receive_data(stream[start:end])
        while (event := parser.next_event()) is not None:
            assert isinstance(event, InterleavedChunk)
            chunks.append(event)
    return chunks


@given(frames=Frames, cuts=st.lists(st.integers(0, 600), max_size=10), slow=st.booleans(), data=st.data())
def test_messages_and_frames_arrive_whole_and_in_order_but_for_frames_without_room_which_are_counted(
    frames: list[tuple[int, bytes]], cuts: list[int], slow: bool, data: st.DataObject
) -> None:
    outbox, wire, sent = Outbox(), bytearray(), 0
    for chunk in chunks_of(b"".join(encode_frame(*frame) for frame in frames), cuts):
        for part in outbox.media(chunk, room=data.draw(st.booleans()) if slow else True):
            wire += part
        for _ in range(data.draw(st.integers(0, 2))):
            sent += 1
            for part in outbox.message(response_for(StatusCode.OK, sent).encode()):
                wire += part
    parser, assembler = Parser(), FrameAssembler()
    parser.receive_data(bytes(wire))
    seen_frames, seen_messages = [], []
    while (event := parser.next_event()) is not None:
        if isinstance(event, InterleavedChunk):
            seen_frames += assembler.receive_chunk(event)
        else:
            assert isinstance(event, Response)
            seen_messages.append(event.cseq)
    assert len(seen_frames) + outbox.dropped == len(frames)
    left = iter(frames)
    assert all(frame in left for frame in seen_frames)
    assert seen_messages == list(range(1, sent + 1))
    assert not outbox.mid_frame


def test_a_frame_that_does_not_end_holds_a_limited_number_of_messages() -> None:
    outbox = Outbox()
    [torn] = chunks_of(encode_frame(0, b"12345678")[:6], [])
    outbox.media(torn)
    for _ in range(MAX_HELD_MESSAGES):
        assert outbox.message(b"x") == []
    with pytest.raises(OutboxFullError):
        outbox.message(b"x")


def test_the_rest_of_a_frame_whose_beginning_was_never_passed_on_is_not_passed_on_either() -> None:
    frame = encode_frame(0, b"SETUP rtsp://x RTSP/1.0")
    _, rest, *_ = chunks_of(frame + encode_frame(1, b"next"), [4])
    outbox = Outbox()
    passed = b"".join(bytes(part) for part in outbox.media(rest))
    assert passed == encode_frame(1, b"next")
    assert outbox.dropped == 0
