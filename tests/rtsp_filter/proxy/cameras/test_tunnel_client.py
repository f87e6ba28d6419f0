"""RTSP over HTTP towards cameras, without a network: what is said on both halves, and answers in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.proxy.cameras.tunnel_client import question, read_answer
from rtsp_filter.proxy.clients.tunnel import Half, TunnelError, read_opening
from rtsp_filter.proxy.limits import MAX_HTTP_HEAD

GOOD = b"HTTP/1.0 200 OK\r\nServer: RTSP Server\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"


@pytest.mark.parametrize("half", list(Half))
def test_a_server_of_tunnels_understands_what_is_said(half: Half) -> None:
    head = question(half, "/cam?x=1", "cam:80", "a-b_1", "Basic eA==")
    opening = read_opening(head)
    assert opening is not None
    assert (opening.half, opening.cookie, opening.size) == (half, "a-b_1", len(head))
    lines = head.decode().split("\r\n")
    assert {f"{half.value} /cam?x=1 HTTP/1.0", "Host: cam:80", "Authorization: Basic eA=="} <= set(lines)
    assert ("Content-Length: 32767" in lines) is (half is Half.REQUESTS)
    assert b"Authorization" not in question(half, "/cam", "cam:80", "a", None)


def test_a_path_goes_to_the_camera_as_the_camera_wrote_it() -> None:
    path = b"/caf\xe9"
    head = question(Half.ANSWERS, path.decode("utf-8", "surrogateescape"), "cam:80", "a", None)
    assert head.startswith(b"GET " + path + b" HTTP/1.0\r\n")


@given(st.integers(0, len(GOOD) - 1))
def test_an_answer_is_read_when_its_head_has_ended(cut: int) -> None:
    assert read_answer(GOOD[:cut]) is None
    answer = read_answer(GOOD + b"RTSP/1.0 200 OK\r\n\r\n")
    assert answer is not None
    assert (answer.status, answer.reason, answer.size) == (200, "OK", len(GOOD))


def test_what_an_answer_asks_for_is_read_in_any_spelling() -> None:
    head = b'HTTP/1.1 401\nWWW-Authenticate: Digest realm="a"\nwww-authenticate:Basic realm="b" \n\n'
    answer = read_answer(head)
    assert answer is not None
    assert (answer.status, answer.reason) == (401, "")
    assert answer.challenges == ('Digest realm="a"', 'Basic realm="b"')


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"RTSP/1.0 405 Method Not Allowed\r\n\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46\n\n", "does not speak HTTP"),
        (b"HTTP/1.0 200 OK\r\nX: " + b"x" * MAX_HTTP_HEAD, f"more than {MAX_HTTP_HEAD} bytes"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(TunnelError, match=expected):
        read_answer(data)


@given(st.binary())
def test_any_bytes_give_an_answer_or_our_error(data: bytes) -> None:
    try:
        answer = read_answer(b"HTTP/1.0 " + data)
    except TunnelError:
        return
    assert answer is None or 100 <= answer.status < 600
