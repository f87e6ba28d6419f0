"""UDP port pairs to receive on: RTP at an even port, RTCP at the next one (RFC 3550, section 11)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from rtsp_filter.rtsp import Pair
from rtsp_filter.udp_ports import DATAGRAMS_PER_TURN, LARGEST_DATAGRAM, Address, open_pair

Receive = Callable[[bytes, float], None]


class PortPair:
    """Two bound sockets of one track. Call `close` when done."""

    def __init__(self, local: Address) -> None:
        """Raises OSError when no pair is free at `local`, whose port is ignored."""
        self._rtp, self._rtcp = open_pair(local)
        self.ports = Pair(self._rtp.getsockname()[1], self._rtcp.getsockname()[1])
        self._peer: Address | None = None
        self._sender: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop, *, rtp: Receive, rtcp: Receive, sender: str | None = None) -> None:
        """Hand over datagrams, with the loop's time, from now on; of this `sender` alone, if an address is given."""
        self._loop = loop
        self._sender = sender
        loop.add_reader(self._rtp.fileno(), self._read, self._rtp, rtp, loop.time)
        loop.add_reader(self._rtcp.fileno(), self._read_rtcp, rtcp, loop.time)

    def send_rtcp_to(self, peer: Address) -> None:
        """Where reports go. Without this call they go to where the first RTCP datagram came from."""
        self._peer = peer

    def send_rtcp(self, datagram: bytes) -> None:
        """Send a report; one that cannot be sent is lost, as any datagram may be."""
        if self._peer is None:
            return
        try:
            self._rtcp.sendto(datagram, self._peer)
        except OSError:
            return

    def close(self) -> None:
        """Stop receiving and free the ports."""
        for sock in (self._rtp, self._rtcp):
            if self._loop is not None:
                self._loop.remove_reader(sock.fileno())
            sock.close()

    def _read(self, sock: socket.socket, receive: Receive, clock: Callable[[], float]) -> None:
        now = clock()
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                datagram, sender = sock.recvfrom(LARGEST_DATAGRAM)
            except OSError:
                # Nothing more to read, or an ICMP error of something we sent.
                return
            if self._sender in (None, sender[0]):
                receive(datagram, now)

    def _read_rtcp(self, receive: Receive, clock: Callable[[], float]) -> None:
        try:
            datagram, sender = self._rtcp.recvfrom(LARGEST_DATAGRAM)
        except OSError:
            return
        if self._sender in (None, sender[0]):
            self._peer = self._peer or sender
            receive(datagram, clock())
