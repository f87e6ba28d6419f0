"""RTSP over HTTP, without a network: what a new connection speaks, the heads of tunnels, and base64 in any pieces."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.proxy.clients.tunnel import (
    Base64Stream,
    Half,
    Opening,
    Speech,
    TunnelError,
    TunnelKey,
    passed_on_head,
    read_opening,
    refusal,
    speech_of,
)
from rtsp_filter.proxy.limits import MAX_COOKIE, MAX_HTTP_HEAD

GET = b"GET /lobby HTTP/1.0\r\nx-sessioncookie: a1\r\n\r\n"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize(
    ("begin", "speech"),
    [
        (b"OPTIONS rtsp://h/ RTSP/1.0\r\n", Speech.RTSP),
        (b"GET_PARAMETER rtsp://h/ RTSP/1.0\r\n", Speech.RTSP),
        (b"D", Speech.RTSP),
        (b"$\x00", Speech.RTSP),
        (b"\r\n", Speech.RTSP),
        (b"PLAY rtsp://h/ RTSP/1.0\r\n", Speech.RTSP),
        (b"GET /lobby HTTP/1.1\r\n", Speech.HTTP),
        (b"POST /lobby HTTP/1.1\r\n", Speech.HTTP),
        (b"P", None),
        (b"GET", None),
        (b"", None),
        (b"\x16\x03\x01\x02\x00\x01", Speech.TLS),
    ],
)
def test_the_first_bytes_tell_what_a_connection_speaks(begin: bytes, speech: Speech | None) -> None:
    assert speech_of(begin) is speech


# As QuickTime, live555 (which leaves out Host), ffmpeg and GStreamer write them, shortened.
@pytest.mark.parametrize(
    ("head", "half", "cookie"),
    [
        (
            b"GET /a HTTP/1.0\r\nUser-Agent: Q\r\nx-sessioncookie: PPwTZeVfAAAul3YACIAAAA\r\n\r\n",
            Half.ANSWERS,
            "PPwTZeVfAAAul3YACIAAAA",
        ),
        (
            b"GET /a HTTP/1.1\r\nCSeq: 1\r\nx-sessioncookie: 413610d3d97250aabb9ffb2683e0792\r\n\r\n",
            Half.ANSWERS,
            "413610d3d97250aabb9ffb2683e0792",
        ),
        (b"POST /a?b=c HTTP/1.1\r\nX-SessionCookie:x\r\nContent-Length: 32767\r\n\r\n", Half.REQUESTS, "x"),
        (b"POST /a HTTP/1.1\nx-sessioncookie: \t y \n\n", Half.REQUESTS, "y"),
    ],
)
def test_heads_of_every_client_are_understood_and_what_follows_is_left(head: bytes, half: Half, cookie: str) -> None:
    for end in range(len(head)):
        assert read_opening(head[:end]) is None
    opening = read_opening(head + b"T1BUSU9OUw==")
    assert opening is not None
    assert (opening.half, opening.cookie, opening.size) == (half, cookie, len(head))


@pytest.mark.parametrize(
    ("head", "status", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "this is an RTSP port"),
        (b"GET / HTTP/1.1\r\nx-sessioncookie:\r\n\r\n", 400, "not one word"),
        (b"GET / HTTP/1.1\r\nx-sessioncookie: a\xff\r\n\r\n", 400, "not one word"),
        (b"GET / HTTP/1.1\r\nx-sessioncookie: a\r\nx-sessioncookie: b\r\n\r\n", 400, "not one word"),
        (b"GET / HTTP/1.1\r\nx-sessioncookie: " + b"a" * (MAX_COOKIE + 1) + b"\r\n\r\n", 400, f"{MAX_COOKIE} bytes"),
        (b"GET / HTTP/2.0\r\nx-sessioncookie: a\r\n\r\n", 400, "request line"),
        (b"GET  \r\n\r\n", 400, "request line"),
        (b"GET /" + b"a" * MAX_HTTP_HEAD, 413, "head of more than"),
    ],
)
def test_http_that_is_no_tunnel_is_refused_with_the_reason(head: bytes, status: int, why: str) -> None:
    with pytest.raises(TunnelError, match=why) as error:
        read_opening(head)
    assert refusal(error.value).startswith(f"HTTP/1.0 {status} ".encode())
    assert refusal(error.value).endswith(f"\r\n\r\n{error.value}\r\n".encode())


def test_a_cookie_and_a_head_of_the_longest_kind_are_taken() -> None:
    head = b"GET / HTTP/1.1\r\nx-sessioncookie: " + b"a" * MAX_COOKIE + b"\r\nx: "
    head += b"b" * (MAX_HTTP_HEAD - len(head) - 4) + b"\r\n\r\n"
    assert read_opening(head) is not None
    assert len(head) == MAX_HTTP_HEAD


def test_a_post_that_is_passed_on_names_a_ticket_in_place_of_a_cookie() -> None:
    ticket = "0123456789abcdef" * 2
    head = passed_on_head(ticket)
    assert read_opening(head + b"T1BU") == Opening(half=Half.REQUESTS, cookie="", ticket=ticket, size=len(head))


@pytest.mark.parametrize("ticket", ["", "0123", "g" * 32, "0" * 33])
def test_what_is_no_ticket_does_not_stand_for_a_cookie(ticket: str) -> None:
    with pytest.raises(TunnelError, match="x-sessioncookie"):
        read_opening(passed_on_head(ticket))


def test_the_name_of_a_tunnel_tells_all_that_its_halves_have_in_common_and_not_the_cookie() -> None:
    keys = [
        TunnelKey(address=address, secure=secure, cookie=cookie)
        for address in ("192.0.2.1", "192.0.2.2")
        for secure in (False, True)
        for cookie in ("a1", "a2")
    ]
    assert len({key.name for key in keys}) == len(keys)
    assert keys[0].name == TunnelKey(address="192.0.2.1", secure=False, cookie="a1").name
    assert b"a1" not in keys[0].name


@given(
    texts=st.lists(st.binary(max_size=50)),
    ends=st.sampled_from([b"", b"\r\n", b"\n", b" "]),
    width=st.integers(1, 80),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
)
def test_texts_encoded_one_by_one_are_decoded_whatever_the_pieces_and_line_ends(
    texts: list[bytes], ends: bytes, width: int, cuts: list[int]
) -> None:
    encoded = b"".join(base64.b64encode(text) + ends for text in texts)
    folded = b"\r\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    stream = Base64Stream()
    assert b"".join(stream.decode(piece) for piece in pieces(folded, cuts)) == b"".join(texts)


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_garbage_is_refused_or_decoded_and_nothing_else_happens(data: bytes, cuts: list[int]) -> None:
    stream = Base64Stream()
    try:
        for piece in pieces(data, cuts):
            stream.decode(piece)
    except TunnelError as error:
        assert "base64" in str(error)


@pytest.mark.parametrize(
    "text", [b"====", b"A===", b"AB=C", b"OPTI ONS*", b"QQ==\xff\xff\xff\xff", b"QUJD-_-_", b"AB==="]
)
def test_what_is_not_base64_is_refused(text: bytes) -> None:
    with pytest.raises(TunnelError, match="base64"):
        Base64Stream().decode(text + b"AAAA")
