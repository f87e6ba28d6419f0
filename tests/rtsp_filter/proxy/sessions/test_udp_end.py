"""The proxy's own end of a relay, with sockets in place of the media proxy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from rtsp_filter.proxy.sessions.udp_end import UDPEnd
from rtsp_filter.udp_ports import DATAGRAMS_PER_TURN, LARGEST_DATAGRAM, open_pair

HOST = "127.0.0.1"
SECONDS = 5.0
RTP = 0

Turns = list[list[bytes]]


class Relay:
    """An end, the sockets that it talks to, and what it received, turn by turn."""

    def __init__(self) -> None:
        self.end = UDPEnd(HOST)
        self.rtp, self.rtcp = open_pair((HOST, 0))
        self.turns: dict[int, Turns] = {0: [], 1: []}
        self._heard = asyncio.Event()

    def open(self) -> None:
        """Both know each other."""
        self.end.connect(self.rtp.getsockname()[1], self._receive)
        for sock, port in zip((self.rtp, self.rtcp), self.end.ports, strict=True):
            sock.connect((HOST, port))

    def close(self) -> None:
        self.end.close()
        self.rtp.close()
        self.rtcp.close()

    def take(self, count: int) -> list[bytes]:
        """So many datagrams that the end has sent as RTP."""
        self.rtp.setblocking(True)
        self.rtp.settimeout(SECONDS)
        return [self.rtp.recv(LARGEST_DATAGRAM) for _ in range(count)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what has been received to be so."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    def _receive(self, kind: int, datagrams: Sequence[memoryview]) -> None:
        self.turns[kind].append([bytes(each) for each in datagrams])
        self._heard.set()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


async def test_what_came_together_is_handed_over_together_and_in_order(relay: Relay) -> None:
    relay.open()
    sent = [bytes([number]) * (number + 1) for number in range(DATAGRAMS_PER_TURN + 10)]
    for datagram in sent:
        relay.rtp.send(datagram)
    relay.rtcp.send(b"report")
    await relay.until(lambda: sum(map(len, relay.turns[0])) == len(sent) and len(relay.turns[1]) == 1)
    assert [len(turn) for turn in relay.turns[0]] == [DATAGRAMS_PER_TURN, 10]
    assert [datagram for turn in relay.turns[0] for datagram in turn] == sent
    assert relay.turns[1] == [[b"report"]]


async def test_the_largest_datagrams_are_received_whole(relay: Relay) -> None:
    relay.open()
    sent = [bytes([number]) * 65_507 for number in range(4)]
    for datagram in sent:
        relay.rtp.send(datagram)
    await relay.until(lambda: sum(map(len, relay.turns[0])) == len(sent))
    assert [datagram for turn in relay.turns[0] for datagram in turn] == sent


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([1200] * 150, id="more alike than one call sends"),
        pytest.param([1200, 1200, 300, 300, 1200, 40], id="pictures with a shorter last packet"),
        pytest.param([10, 20, 30, 5, 5], id="growing"),
        pytest.param([30_000, 30_000, 30_000, 65_507, 65_507], id="large"),
    ],
)
async def test_datagrams_go_out_one_by_one_and_in_order_whatever_their_sizes(relay: Relay, sizes: list[int]) -> None:
    relay.open()
    sent = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    relay.end.send(RTP, sent)
    assert relay.take(len(sent)) == sent


async def test_an_error_of_what_was_sent_before_costs_no_later_datagram(relay: Relay) -> None:
    relay.open()
    name = relay.rtp.getsockname()
    relay.rtp.close()
    relay.end.send(RTP, [b"nobody is there"])
    relay.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.rtp.bind(name)
    sent = [b"one", b"two", b"ten"]
    relay.end.send(RTP, sent)
    assert relay.take(3) == sent
