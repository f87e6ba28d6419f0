"""Any cut of the byte stream gives the same events; limits hold; garbage gives only our error."""

from __future__ import annotations

import itertools
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsp_filter.rtsp import (
    FrameAssembler,
    Headers,
    InterleavedChunk,
    Limits,
    Parser,
    Request,
    Response,
    RTSPParseError,
    StatusCode,
    encode_frame,
)

SMALL = Limits(start_line_bytes=64, head_bytes=256, headers=4, body_bytes=32)

STREAM = (
    b"OPTIONS rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    + encode_frame(0, b"early")
    + encode_frame(1, b"")
    + b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 4\r\n\r\n$abc"
    + encode_frame(2, b"RTSP/1.0")
    + b"\r\n\r\n"
    + b"SET_PARAMETER * RTSP/1.0\nCseq: 2\nX-Odd:\n folded\n\n"
    + encode_frame(3, bytes(300))
)

Plain = Request | Response | tuple[int, bytes]


def events_of(parser: Parser, *pieces: bytes) -> list[Plain]:
    """Messages, and media as single frames."""
    frames = FrameAssembler()
    found: list[Plain] = []
    for piece in pieces:
        parser.receive_data(piece)
        for event in iter(parser.next_event, None):
            if isinstance(event, InterleavedChunk):
                found += frames.receive_chunk(event)
            else:
                found.append(event)
    return found


def chunks_of(parser: Parser, data: bytes | bytearray) -> list[InterleavedChunk]:
    parser.receive_data(data)
    return [event for event in iter(parser.next_event, None) if isinstance(event, InterleavedChunk)]


def request(*headers: str, body: bytes = b"") -> bytes:
    lines = ["DESCRIBE rtsp://h/x RTSP/1.0", "CSeq: 5", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


WHOLE = events_of(Parser(), STREAM)


def test_messages_and_frames_of_one_stream_are_told_apart() -> None:
    assert [event if isinstance(event, tuple) else type(event) for event in WHOLE] == [
        Request,
        (0, b"early"),
        (1, b""),
        Response,
        (2, b"RTSP/1.0"),
        Request,
        (3, bytes(300)),
    ]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_cut_at_any_offset_gives_the_same_events(cut: int) -> None:
    assert events_of(Parser(), STREAM[:cut], STREAM[cut:]) == WHOLE


def test_single_bytes_give_the_same_events() -> None:
    assert events_of(Parser(), *(STREAM[at : at + 1] for at in range(len(STREAM)))) == WHOLE


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert events_of(Parser(), *(STREAM[a:b] for a, b in itertools.pairwise(edges))) == WHOLE


def test_data_given_before_the_events_are_taken_keeps_its_order() -> None:
    parser = Parser()
    for piece in (STREAM[:50], STREAM[50:120]):
        parser.receive_data(piece)
    assert events_of(parser, STREAM[120:]) == WHOLE


@given(st.binary(max_size=400))
def test_garbage_gives_only_our_error(data: bytes) -> None:
    try:
        events_of(Parser(SMALL), data)
    except RTSPParseError as error:
        assert error.status in (400, 413, 414, 505)


@settings(max_examples=200)
@given(st.integers(0, len(STREAM) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_stream_gives_only_our_error(at: int, damage: bytes) -> None:
    try:
        events_of(Parser(), STREAM[:at] + damage + STREAM[at + len(damage) :])
    except RTSPParseError as error:
        assert error.status >= 400


def test_after_an_error_the_parser_refuses_everything() -> None:
    parser = Parser()
    parser.receive_data(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(RTSPParseError) as first:
        parser.next_event()
    with pytest.raises(RTSPParseError) as again:
        parser.receive_data(STREAM)
    with pytest.raises(RTSPParseError):
        parser.next_event()
    assert again.value is first.value


def test_a_body_over_the_limit_is_refused_before_any_of_it_is_kept() -> None:
    parser = Parser()
    piece = b"x" * 1_000_000
    parser.receive_data(request("Content-Length: 1000000000"))
    with pytest.raises(RTSPParseError):
        parser.next_event()
    tracemalloc.start()
    try:
        for _ in range(50):
            with pytest.raises(RTSPParseError):
                parser.receive_data(piece)
        assert tracemalloc.get_traced_memory()[0] < len(piece) / 10
    finally:
        tracemalloc.stop()


def test_spelling_and_order_of_headers_and_bytes_that_are_no_text_pass_through() -> None:
    data = (
        b"PLAY rtsp://h/\xff RTSP/1.0\r\nCseq: 4\r\nx-ODD: \xfe\xc3\xa4\r\nContent-length: 2\r\nRange: npt=0-\r\n\r\nhi"
    )
    (event,) = events_of(Parser(), data)
    assert isinstance(event, Request)
    assert event.encode() == data


def test_a_line_of_blanks_among_headers_ends_nothing() -> None:
    data = b"RTSP/1.0 200 OK\r\nCSeq: 6 \r\nSession: 8217\r\n \r\nRTP-Info: url=rtsp://h/t;seq=1\r\n\r\n"
    response, frame = events_of(Parser(), data + encode_frame(3, b"x"))
    assert isinstance(response, Response)
    expected = [("CSeq", "6"), ("Session", "8217"), ("RTP-Info", "url=rtsp://h/t;seq=1")]
    assert list(response.headers.items()) == expected
    assert frame == (3, b"x")


@pytest.mark.parametrize("line", [b"RTSP/1.0 200\r\n", b"RTSP/1.0 200 \r\n"])
def test_a_reason_phrase_may_be_empty_or_missing(line: bytes) -> None:
    (event,) = events_of(Parser(), line + b"CSeq: 1\r\n\r\n")
    assert isinstance(event, Response)
    assert (event.status, event.reason) == (200, "")


def test_a_response_may_lack_a_cseq() -> None:
    (event,) = events_of(Parser(), b"RTSP/1.0 200 OK\r\n\r\n")
    assert isinstance(event, Response)
    assert event.cseq is None


def test_an_unknown_method_is_a_request_for_the_session_to_refuse() -> None:
    (event,) = events_of(Parser(), b"FLY rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert isinstance(event, Request)
    assert event.method == "FLY"


def test_a_url_may_contain_blanks() -> None:
    (event,) = events_of(Parser(), b"PLAY rtsp://h/my cam RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert isinstance(event, Request)
    assert event.url == "rtsp://h/my cam"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        # A status of three digits that would be written with two.
        (b"RTSP/1.0 020 OK\r\nCSeq: 1\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/1.0\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/1.0\r\nCSeq: x\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/1.0\r\nCSeq: -1\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\nno colon\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\nA: b\rForged: c\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x\r\nCSeq: 1\r\n\r\n", StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/x RTSP/2.0\r\nCSeq: 1\r\n\r\n", StatusCode.RTSP_VERSION_NOT_SUPPORTED),
        (request("Content-Length: -1"), StatusCode.BAD_REQUEST),
        (request("Content-Length: 1e3"), StatusCode.BAD_REQUEST),
        (request("Content-Length:"), StatusCode.BAD_REQUEST),
        (request("Content-Length: 1", "content-length: 2"), StatusCode.BAD_REQUEST),
        (request("Content-Length: 262145"), StatusCode.REQUEST_ENTITY_TOO_LARGE),
        (request("Content-Length: " + "9" * 5000), StatusCode.REQUEST_ENTITY_TOO_LARGE),
        (request(*["A: b"] * 128), StatusCode.BAD_REQUEST),
        (b"PLAY rtsp://h/" + b"x" * 9000 + b" RTSP/1.0\r\nCSeq: 1\r\n\r\n", StatusCode.REQUEST_URI_TOO_LARGE),
        (b"x" * 9000, StatusCode.REQUEST_URI_TOO_LARGE),
        (request("A: " + "b" * 40000), StatusCode.BAD_REQUEST),
    ],
)
def test_what_cannot_be_accepted_is_refused_with_a_status(data: bytes, status: StatusCode) -> None:
    with pytest.raises(RTSPParseError) as error:
        events_of(Parser(), data)
    assert error.value.status is status


def test_the_error_tells_the_cseq_to_answer() -> None:
    with pytest.raises(RTSPParseError) as error:
        events_of(Parser(), b"PLAY rtsp://h/x RTSP/2.0\r\nCSeq: 31\r\n\r\n")
    assert error.value.cseq == 31


def test_a_repeated_equal_content_length_is_one() -> None:
    (event,) = events_of(Parser(), request("Content-Length: 2", "Content-Length: 2", body=b"ok"))
    assert isinstance(event, Request)
    assert event.body == b"ok"


def test_a_description_of_128_kilobytes_is_accepted() -> None:
    body = b"v=0\r\n" + b"a=x\r\n" * 26000
    (event,) = events_of(Parser(), request(f"Content-Length: {len(body)}", body=body))
    assert isinstance(event, Request)
    assert event.body == body


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_line_ends_between_messages_are_skipped_up_to_a_limit(piece: int) -> None:
    blank = b"\r\n" * (Limits().blank_bytes // 2)
    data = (blank + request()) * 2 + encode_frame(0, b"x") + blank
    parser = Parser()
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    assert [type(event) for event in events_of(parser, *pieces)] == [Request, Request, tuple]
    with pytest.raises(RTSPParseError, match="line ends") as error:
        events_of(parser, b"\n")
    assert error.value.status is StatusCode.BAD_REQUEST


def test_a_run_of_line_ends_costs_a_few_calls_whatever_its_length() -> None:
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    parser = Parser()
    parser.receive_data(b"\r\n" * 131072)
    sys.setprofile(count)
    try:
        with pytest.raises(RTSPParseError):
            parser.next_event()
    finally:
        sys.setprofile(None)
    assert calls < 50


def test_endless_heads_and_lines_are_refused_at_the_limit_when_they_trickle() -> None:
    parser = Parser(SMALL)
    with pytest.raises(RTSPParseError):
        for _ in range(SMALL.start_line_bytes + 2):
            events_of(parser, b"x")
    parser = Parser(SMALL)
    events_of(parser, b"PLAY * RTSP/1.0\r\n")
    with pytest.raises(RTSPParseError):
        for _ in range(SMALL.head_bytes + 2):
            events_of(parser, b"y")


def test_a_run_of_frames_is_one_view_into_the_given_buffer() -> None:
    data = bytearray(encode_frame(0, b"abc") * 5)
    (chunk,) = chunks_of(Parser(), data)
    assert (chunk.whole, chunk.frames, chunk.continuation, chunk.last_frame) == (True, 5, 0, 28)
    assert chunk.data.obj is data
    assert chunk.data == data


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.data())
def test_a_chunk_says_where_frames_begin_and_whether_it_ends_with_one(sizes: list[int], draw: st.DataObject) -> None:
    frames = [encode_frame(channel, bytes(size)) for channel, size in enumerate(sizes)]
    starts = [0, *itertools.accumulate(map(len, frames))]
    stream = b"".join(frames)
    cut = draw.draw(st.integers(0, len(stream)))
    parser, at = Parser(), 0
    for piece in (stream[:cut], stream[cut:]):
        for chunk in chunks_of(parser, piece):
            end = at + len(chunk.data)
            begun = [start - at for start in starts if at <= start < end]
            assert bytes(chunk.data) == stream[at:end]
            assert chunk.frames == len(begun)
            assert chunk.continuation == (begun[0] if begun else len(chunk.data))
            assert chunk.last_frame == (begun[-1] if begun else len(chunk.data))
            assert chunk.whole == (end in starts)
            at = end
    assert at == len(stream)


@pytest.mark.parametrize("cut", range(15))
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_channels_are_translated_wherever_the_frames_are_cut(cut: int, kind: type[bytes] | type[bytearray]) -> None:
    table = bytes((channel + 4) % 256 for channel in range(256))
    stream = encode_frame(0, b"\0\1") + encode_frame(255, b"\xff\0\0")
    parser = Parser()
    parser.translate_channels(table)
    given_data = [kind(stream[:cut]), kind(stream[cut:])]
    out = b"".join(bytes(chunk.data) for piece in given_data for chunk in chunks_of(parser, piece))
    assert out == encode_frame(4, b"\0\1") + encode_frame(3, b"\xff\0\0")


def test_a_writable_buffer_is_translated_in_place() -> None:
    data = bytearray(encode_frame(0, b"abc"))
    parser = Parser()
    parser.translate_channels(bytes([9]) * 256)
    chunks_of(parser, data)
    assert data == encode_frame(9, b"abc")


def test_the_buffer_is_free_once_no_event_is_left() -> None:
    parser, data = Parser(), bytearray(STREAM[:-5])
    assert len(events_of(parser, data)) == 6
    data.clear()


def test_a_request_without_headers_but_cseq_has_them_equal_without_case() -> None:
    (event,) = events_of(Parser(), b"OPTIONS * RTSP/1.0\r\ncseq:1\r\n\r\n")
    assert isinstance(event, Request)
    assert event.headers == Headers([("CSeq", "1")])
