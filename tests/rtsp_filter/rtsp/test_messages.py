"""What is encoded parses to the same; nothing can smuggle in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import Headers, LocalError, Parser, Request, Response, StatusCode, respond

TEXT = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1, max_size=20
)
NAMES = st.from_regex(r"X-[A-Za-z0-9-]{1,10}", fullmatch=True)
BODIES = st.binary(max_size=50)
HEADERS = st.lists(st.tuples(NAMES, TEXT), max_size=5)


def parsed(data: bytes) -> object:
    parser = Parser()
    parser.receive_data(data)
    return parser.next_event()


def sized(headers: list[tuple[str, str]], body: bytes) -> Headers:
    length = [("Content-Length", str(len(body)))] if body else []
    return Headers([("CSeq", "1"), *headers, *length])


@given(TEXT, HEADERS, BODIES)
def test_a_request_survives_encoding_and_parsing(url: str, headers: list[tuple[str, str]], body: bytes) -> None:
    request = Request(method="PLAY", url=url, headers=sized(headers, body), body=body)
    assert parsed(request.encode()) == request


@given(st.integers(100, 999), TEXT, HEADERS, BODIES)
def test_a_response_survives_encoding_and_parsing(
    status: int, reason: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    response = Response(status=status, reason=reason, headers=sized(headers, body), body=body)
    assert parsed(response.encode()) == response


def test_content_length_is_put_right_where_it_stands() -> None:
    headers = Headers([("content-length", "99"), ("CSeq", "1"), ("Content-Length", "98")])
    request = Request(method="PLAY", url="*", headers=headers, body=b"abc")
    assert request.encode() == b"PLAY * RTSP/1.0\r\ncontent-length: 3\r\nCSeq: 1\r\n\r\nabc"


def test_content_length_is_added_for_a_body() -> None:
    encoded = Response(status=200, reason="OK", body=b"ab").encode()
    assert encoded == b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"


def test_a_line_end_is_never_sent_inside_a_line() -> None:
    with pytest.raises(LocalError):
        Request(method="PLAY", url="rtsp://h/\r\nCSeq: 1").encode()
    with pytest.raises(LocalError):
        Response(status=200, reason="O\nK").encode()


def test_a_response_carries_the_cseq_of_its_request() -> None:
    request = Request(method="PLAY", url="*", headers=Headers([("cseq", "17")]))
    response = respond(request, StatusCode.NOT_FOUND, [("Session", "1")])
    assert (response.status, response.reason, response.cseq) == (404, "Not Found", 17)
    assert response.headers.get("session") == "1"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, "OK"), (405, "Method Not Allowed"), (454, "Session Not Found"), (551, "Option not supported")],
)
def test_status_codes_have_the_reasons_of_the_rfc(status: int, reason: str) -> None:
    assert StatusCode(status).reason == reason
