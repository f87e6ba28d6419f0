import asyncio
import socket

import pytest

from rtsp_filter.player.sockets import PortPair

LOCAL = ("127.0.0.1", 0)


def test_rtp_is_even_and_rtcp_its_neighbour() -> None:
    pairs = [PortPair(LOCAL) for _ in range(20)]
    for pair in pairs:
        assert pair.ports.rtp % 2 == 0
        assert pair.ports.rtcp == pair.ports.rtp + 1
        pair.close()


def test_closing_frees_both_ports() -> None:
    pair = PortPair(LOCAL)
    pair.close()
    for port in pair.ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(OSError, match="Cannot assign"):
        PortPair(("192.0.2.1", 0))


async def test_reports_go_to_where_rtcp_comes_from_when_nothing_else_is_known() -> None:
    heard = asyncio.Event()
    pair = PortPair(LOCAL)
    pair.send_rtcp(b"nobody to send to")
    pair.start(asyncio.get_running_loop(), rtp=lambda data, now: None, rtcp=lambda data, now: heard.set())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(LOCAL)
        sender.settimeout(5.0)
        sender.sendto(b"report", ("127.0.0.1", pair.ports.rtcp))
        await heard.wait()
        pair.send_rtcp(b"answer")
        assert sender.recv(100) == b"answer"
    pair.close()


async def test_a_burst_is_read_whole_and_in_order() -> None:
    received: list[bytes] = []
    complete = asyncio.Event()

    def receive(data: bytes, now: float) -> None:
        received.append(data)
        if len(received) == 200:
            complete.set()

    pair = PortPair(LOCAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(200):
            sender.sendto(b"%d" % number, ("127.0.0.1", pair.ports.rtp))
    pair.start(asyncio.get_running_loop(), rtp=receive, rtcp=receive)
    await complete.wait()
    pair.close()
    assert received == [b"%d" % number for number in range(200)]
