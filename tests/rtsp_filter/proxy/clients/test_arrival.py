"""How connections come to the proxy: RTSP, RTSPS, RTSP over HTTP, and what is none of them; on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from rtsp_filter.proxy import Listen, ProxyLimits, ProxySettings, RTSPProxy, SecureListen, limits
from tests.peers.certificates import make_certificate, trusting_context
from tests.peers.process import wait_until
from tests.peers.proxy_thread import running_proxy
from tests.peers.rtsp_wire import eventually
from tests.peers.tunnel_wire import Place, answered, options, refused

LOOPBACK = Listen(address="127.0.0.1", port=0)
FEW = 6
# Answers of 7 KB each: more than all buffers on the way take.
MANY, LONG = 2000, b"x" * 7000


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def proxy(request, tmp_path: Path) -> Iterator[RTSPProxy]:
    certificate = make_certificate(tmp_path, "localhost")
    settings = ProxySettings(
        listen=LOOPBACK,
        secure=SecureListen(listen=LOOPBACK, certificate=certificate.chain, key=certificate.key),
        control_plane="127.0.0.1:1",
        node_id="n",
        limits=ProxyLimits(max_connections_per_client=FEW),
    )
    with capture_logs(), running_proxy(settings, request.param) as proxy:
        yield proxy
        wait_until(lambda: not proxy._connections, 5, "the return of all connections")
        assert not proxy.tunnels._whole
        assert not proxy.tunnels._waiting
        assert not proxy.tunnels._waiting_of


@pytest.fixture(params=["plain", "tls"])
def place(request, proxy: RTSPProxy) -> Place:
    if request.param == "plain":
        return Place(port=proxy.port)
    return Place(port=proxy.secure_port, tls=trusting_context())


async def test_rtsp_is_answered_whatever_the_pieces_it_comes_in(place: Place) -> None:
    half = await place.connect()
    for byte in options(1):
        half.write(bytes((byte,)))
        await half.writer.drain()
        await asyncio.sleep(0)
    assert b"CSeq: 1\r\n" in await half.head()
    await answered(half, half, 2, encoded=False)
    await half.close()


async def test_a_tunnels_halves_are_one_connection(place: Place) -> None:
    get = await place.get("c1")
    post = await place.post("c1")
    for number in range(3):
        await answered(get, post, number, encoded=True)
    get.write(b"$\x01\x00\x04rtcp")  # live555 sends that
    await answered(get, post, 3, encoded=True)
    await get.close()
    assert await post.rest() == b""
    await post.close()


async def test_a_tunnels_requests_may_come_in_any_pieces_with_line_ends_among_them(place: Place) -> None:
    get = await place.get("c1")
    post = await place.post("c1")
    for byte in b"T1BUSU9OUyAqIFJUU1Av\r\nMS4wDQpDU2VxOiA3DQoNCg==\r\n":
        post.write(bytes((byte,)))
        await post.writer.drain()
    assert b"CSeq: 7\r\n" in await get.head()
    await get.close()
    await post.close()


async def test_a_tunnel_whose_answers_are_not_read_is_not_read_until_they_are(place: Place, proxy: RTSPProxy) -> None:
    get = await place.get("c1")
    post = await place.post("c1")
    await answered(get, post, 0, encoded=True)
    for number in range(MANY):
        post.encoded(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\nProxy-Require: %s\r\n\r\n" % (number, LONG))
    (tunnel,) = proxy.tunnels._whole.values()
    await eventually(lambda: not tunnel._requests.is_reading(), "the POST is not read")
    for number in range(MANY):
        answer = await get.head()
        assert answer.startswith(b"RTSP/1.0 551 ")
        assert b"CSeq: %d\r\n" % number in answer
    await get.close()
    await post.close()


async def test_a_post_that_comes_before_its_get_waits_for_it(place: Place) -> None:
    post = await place.post("c1")
    post.encoded(options(1))
    get = await place.get("c1")
    assert b"CSeq: 1\r\n" in await get.head()
    await get.close()
    await post.close()


async def test_another_post_follows_one_that_was_closed_or_forgotten(place: Place) -> None:
    get = await place.get("c1")
    closed = await place.post("c1")
    await answered(get, closed, 1, encoded=True)
    await closed.close()
    forgotten = await place.post("c1")
    await answered(get, forgotten, 2, encoded=True)
    last = await place.post("c1")
    await answered(get, last, 3, encoded=True)
    assert await forgotten.rest() == b""
    await forgotten.close()
    await answered(get, last, 4, encoded=True)
    await get.close()
    assert await last.rest() == b""
    await last.close()


async def test_tunnels_of_one_client_are_told_apart_by_their_cookies(place: Place) -> None:
    gets = [await place.get(cookie) for cookie in ("a", "b")]
    posts = [await place.post(cookie) for cookie in ("b", "a")]
    posts[0].encoded(options(11))
    posts[1].encoded(options(22))
    assert b"CSeq: 22\r\n" in await gets[0].head()
    assert b"CSeq: 11\r\n" in await gets[1].head()
    for half in (*gets, *posts):
        await half.close()


@pytest.mark.parametrize("joined", [False, True])
async def test_a_second_get_with_a_cookie_in_use_is_refused_and_the_first_goes_on(place: Place, joined: bool) -> None:
    get = await place.get("c1")
    post = await place.post("c1") if joined else None
    if post:
        await answered(get, post, 1, encoded=True)
    second = await place.half("GET", "c1")
    assert (await second.rest()).startswith(b"HTTP/1.0 403 Forbidden\r\n")
    post = post or await place.post("c1")
    await answered(get, post, 2, encoded=True)
    for half in (get, post, second):
        await half.close()


async def test_a_second_post_is_refused_while_the_first_waits_for_its_get(place: Place, proxy: RTSPProxy) -> None:
    post = await place.post("c1")
    await eventually(lambda: proxy.tunnels._waiting, "the first POST waits")
    refused = await place.post("c1")
    assert (await refused.rest()).startswith(b"HTTP/1.0 403 ")
    get = await place.get("c1")
    await answered(get, post, 1, encoded=True)
    for half in (get, post, refused):
        await half.close()


async def test_a_cookie_that_somebody_else_repeats_joins_nothing_of_the_first_client(proxy: RTSPProxy) -> None:
    mine, theirs = Place(port=proxy.port), Place(port=proxy.port, local="127.0.0.2")
    get = await mine.get("c1")
    stranger = await theirs.post("c1")
    stranger.encoded(options(666))
    post = await mine.post("c1")
    await answered(get, post, 1, encoded=True)
    listener = await theirs.get("c1")  # joins its own POST
    assert b"CSeq: 666\r\n" in await listener.head()
    await answered(get, post, 2, encoded=True)
    for half in (get, post, stranger, listener):
        await half.close()


async def test_a_half_that_came_by_tls_is_joined_by_no_plain_one(proxy: RTSPProxy) -> None:
    get = await Place(port=proxy.secure_port, tls=trusting_context()).get("c1")
    plain = await Place(port=proxy.port).post("c1")
    plain.encoded(options(1))
    await eventually(lambda: len(proxy.tunnels._waiting) == 2, "both halves wait")
    await get.close()
    await plain.close()


async def test_a_tunnel_that_carries_something_else_than_base64_is_closed_and_the_log_says_so(place: Place) -> None:
    get = await place.get("c1")
    post = await place.post("c1")
    with capture_logs() as logs:
        post.write(options(1))
        assert await get.rest() == b""
        assert await post.rest() == b""
    assert [line["client"] for line in logs if "not base64" in line.get("error", "")] == ["127.0.0.1"]
    await get.close()
    await post.close()


async def test_what_is_not_rtsp_in_a_tunnel_is_answered_on_its_get(place: Place) -> None:
    get = await place.get("c1")
    post = await place.post("c1")
    post.encoded(b"NONSENSE\r\n\r\n")
    assert (await get.rest()).startswith(b"RTSP/1.0 400 ")
    await get.close()
    await post.close()


async def test_http_without_a_cookie_is_answered_in_http(place: Place) -> None:
    half = await place.connect()
    half.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await half.rest()
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert b"this is an RTSP port" in answer
    await half.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_half_whose_other_half_never_comes_is_let_go(
    place: Place, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.05)
    with capture_logs() as logs:
        half = await place.half(method, "c1")
        await half.rest()
    assert any(f"HTTP {method} got no other half" in line["event"] for line in logs)
    await half.close()


async def test_only_so_many_halves_of_one_address_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.MAX_WAITING_HALVES", 2)
    gets = [await place.get(f"c{number}") for number in range(2)]
    refused = await place.half("GET", "c3")
    assert (await refused.rest()).startswith(b"HTTP/1.0 503 ")
    post = await place.post("c1")
    await answered(gets[1], post, 1, encoded=True)
    gets.append(await place.get("c3"))
    for half in (*gets, post, refused):
        await half.close()


async def test_a_post_may_bring_only_so_much_before_its_get(place: Place) -> None:
    post = await place.post("c1")
    with capture_logs() as logs:
        post.write(b"A" * (limits.MAX_EARLY_BYTES + 1))
        assert await post.rest() == b""
    assert any("too much before its GET" in line["event"] for line in logs)
    await post.close()


async def test_both_halves_of_a_tunnel_count_as_connections(place: Place) -> None:
    halves = [
        half for number in range(FEW // 2) for half in (await place.get(f"c{number}"), await place.post(f"c{number}"))
    ]
    for number in range(0, FEW, 2):
        await answered(halves[number], halves[number + 1], number, encoded=True)
    assert await refused(place)
    for half in halves:
        await half.close()


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"O",
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n",
        b"G",
        b"GET / HTTP/1.0\r\n",
        b"POST / HTTP/1.0\r\nx-sessioncookie: a",
    ],
)
async def test_a_connection_that_never_ends_its_first_request_is_closed(
    place: Place, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.arrival.FIRST_REQUEST_TIMEOUT", 0.05)
    half = await place.connect()
    half.write(begin)
    assert await half.rest() == b""
    await half.close()


async def test_a_tunnel_that_never_ends_its_first_request_is_closed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.connection.FIRST_REQUEST_TIMEOUT", 0.05)
    get = await place.get("c1")
    post = await place.post("c1")
    post.encoded(b"OPTIONS * RTSP")
    assert await get.rest() == b""
    assert await post.rest() == b""
    await get.close()
    await post.close()


async def test_a_connection_that_was_answered_may_be_silent_for_longer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = await place.connect()
    monkeypatch.setattr("rtsp_filter.proxy.clients.connection.IDLE_TIMEOUT", 0.05)
    await answered(half, half, 1, encoded=False)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert await half.rest() == b""
    assert loop.time() - start < limits.FIRST_REQUEST_TIMEOUT / 2
    await half.close()


async def test_tls_at_the_rtsp_port_is_closed_and_the_log_says_where_tls_is(proxy: RTSPProxy) -> None:
    with capture_logs() as logs, pytest.raises(OSError):
        await Place(port=proxy.port, tls=trusting_context()).connect()
    assert any("--rtsps" in line["event"] for line in logs)


@pytest.mark.parametrize("begin", [options(1), b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(300)])
async def test_what_is_not_tls_at_the_rtsps_port_is_closed_and_the_log_says_so(proxy: RTSPProxy, begin: bytes) -> None:
    with capture_logs() as logs:
        half = await Place(port=proxy.secure_port).connect()
        half.write(begin)
        await half.rest()
        await eventually(lambda: any("handshake failed" in line["event"] for line in logs), "a log line")
    (line,) = [line for line in logs if "handshake failed" in line["event"]]
    assert line["client"] == "127.0.0.1"
    assert ("--rtsp" in line["error"]) is (begin[0] != 0x16)
    await half.close()


async def test_a_tls_handshake_that_never_ends_is_given_up(proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.secure_server.HANDSHAKE_TIMEOUT", 0.05)
    half = await Place(port=proxy.secure_port).connect()
    half.write(b"\x16\x03")
    assert await half.rest() == b""
    await half.close()


async def test_a_tls_client_that_never_says_farewell_is_not_waited_for(
    proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.secure_server.TLS_CLOSE_TIMEOUT", 0.05)
    half = await Place(port=proxy.secure_port, tls=trusting_context()).connect()
    half.writer.transport.pause_reading()
    half.write(b"no RTSP\r\n\r\n")
    try:
        await eventually(lambda: not proxy._connections, "the end of the connection", limits.TLS_CLOSE_TIMEOUT / 2)
    finally:
        half.writer.transport.abort()


async def test_handshakes_count_as_connections(proxy: RTSPProxy) -> None:
    place = Place(port=proxy.secure_port)
    silent = [await place.connect() for _ in range(FEW)]
    await eventually(lambda: proxy._connections.total() == FEW, "all are counted")
    assert await refused(place)
    for half in silent:
        await half.close()
    await eventually(lambda: not proxy._connections, "all are given back")
    other = await Place(port=proxy.secure_port, tls=trusting_context()).connect()
    await answered(other, other, 1, encoded=False)
    await other.close()
