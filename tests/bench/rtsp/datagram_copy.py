"""Copies UDP datagrams from one socket to another by asyncio's own means and understands nothing: the least that a
datagram costs in Python.

Run as a process: `python -m tests.bench.rtsp.datagram_copy PORT` prints the port that it listens on; what arrives there
goes to PORT.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

import uvloop

_BUFFER_BYTES = 4 << 20


class _Copy(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(data, self._to)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Copy(port), local_addr=("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
