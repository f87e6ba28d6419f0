"""Two neighbouring UDP ports of an event loop: RTP at an even one, RTCP at the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from rtsp_filter.rtsp import Pair

ATTEMPTS = 200
# A burst of a hundred sessions, while the test is busy elsewhere.
BUFFER_BYTES = 1 << 20
MAX_DATAGRAM = 65_536

# RTCP or not, the datagram, and the port that it came from.
Received = Callable[[bool, bytes, int], None]


class UDPPair:
    """Bound to `address`; `received` gets what arrives once `start` was called."""

    def __init__(self, address: str) -> None:
        self._sockets = _bind_pair(address)
        self.ports = Pair(*(sock.getsockname()[1] for sock in self._sockets))
        self._loop = asyncio.get_running_loop()

    def start(self, received: Received) -> None:
        for sock, rtcp in zip(self._sockets, (False, True), strict=True):
            self._loop.add_reader(sock, self._read, sock, rtcp, received)

    def send(self, data: bytes, address: str, port: int, *, rtcp: bool) -> None:
        """Send; what the system does not take or nobody receives is lost, as on any network."""
        try:
            self._sockets[rtcp].sendto(data, (address, port))
        except ConnectionRefusedError:
            return

    def close(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()

    def _read(self, sock: socket.socket, rtcp: bool, received: Received) -> None:
        while True:
            try:
                data, source = sock.recvfrom(MAX_DATAGRAM)
            except OSError:
                return
            received(rtcp, data, source[1])


def _bind_pair(address: str) -> tuple[socket.socket, socket.socket]:
    for _ in range(ATTEMPTS):
        first = _bind(address, 0)
        port = first.getsockname()[1]
        try:
            second = _bind(address, port ^ 1)
        except OSError:
            first.close()
            continue
        return (second, first) if port % 2 else (first, second)
    raise OSError(f"no free pair of UDP ports at {address}")


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    where: tuple[Any, ...] = (address, port)
    try:
        sock.bind(where)
    except OSError:
        sock.close()
        raise
    return sock
