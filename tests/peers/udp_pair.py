"""Two neighbouring UDP ports of an event loop: RTP at an even one, RTCP at the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from rtsp_filter.rtsp import Pair
from rtsp_filter.udp_ports import LARGEST_DATAGRAM, open_pair

# RTCP or not, the datagram, and the port that it came from.
Received = Callable[[bool, bytes, int], None]


class UDPPair:
    """Bound to `address`; `received` gets what arrives once `start` was called."""

    def __init__(self, address: str) -> None:
        self._sockets = open_pair((address, 0))
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
                data, source = sock.recvfrom(LARGEST_DATAGRAM)
            except OSError:
                return
            received(rtcp, data, source[1])
