"""Numbered datagrams: a flow that sends one every few milliseconds, and backends that note and return what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.peers.udp_echo import udp_socket

LOOPBACK = "127.0.0.1"
PACE_SECONDS = 0.003
# For a datagram that is on its way to arrive, on a loaded machine.
ARRIVAL_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Arrivals(asyncio.DatagramProtocol):
    """Numbers in the order of their arrival. `echo`: they are sent back."""

    echo: bool
    numbers: list[int] = field(default_factory=list)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.numbers.append(int(data))
        self._arrived.set()
        if self.echo and self._transport is not None:
            self._transport.sendto(data, addr)

    async def until(self, number: int, timeout: float = ARRIVAL_SECONDS) -> None:
        """Wait until this number or a later one has arrived."""
        async with asyncio.timeout(timeout):
            while not self.numbers or self.numbers[-1] < number:
                self._arrived.clear()
                await self._arrived.wait()

    async def open(self, port: int | None = None) -> None:
        """Take a port; with `port`, talk to that one alone."""
        sock = udp_socket(LOOPBACK, 0)
        if port is not None:
            sock.connect((LOOPBACK, port))
        self.port = sock.getsockname()[1]
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=sock)

    def send(self, number: int) -> None:
        assert self._transport is not None
        self._transport.sendto(b"%d" % number)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def backend() -> AsyncIterator[Arrivals]:
    """A backend that sends back what it gets."""
    arrivals = Arrivals(echo=True)
    await arrivals.open()
    try:
        yield arrivals
    finally:
        arrivals.close()


@dataclass(slots=True, eq=False)
class NumberedFlow:
    """`sent` datagrams so far, numbered from 1 on; `answers` are those that came back."""

    answers: Arrivals
    sent: int = 0

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self.sent += 1
            self.answers.send(self.sent)
            await asyncio.sleep(PACE_SECONDS)


@asynccontextmanager
async def numbered_flow(port: int) -> AsyncIterator[NumberedFlow]:
    """A flow to `port` from one client port, until left."""
    flow = NumberedFlow(Arrivals(echo=False))
    await flow.answers.open(port)
    task = asyncio.create_task(flow.run(), name="numbered flow")
    try:
        yield flow
    finally:
        task.cancel()
        await asyncio.wait([task])
        flow.answers.close()
