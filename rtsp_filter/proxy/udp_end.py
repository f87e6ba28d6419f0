"""This process as one end of a relay: a pair of UDP sockets that talks to the media proxy and to nobody else.

Needed where the two legs of a session differ: media comes over UDP and goes on over TCP, or the other way round.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress

from rtsp_filter.rtsp import Pair
from rtsp_filter.udp_ports import DATAGRAMS_PER_TURN, LARGEST_DATAGRAM, open_pair

Receive = Callable[[int, bytes], None]
"""What arrived: 0 for RTP, 1 for RTCP, and the datagram."""


class UDPEnd:
    """A pair of sockets at the address from which `media_address` is reached. Raises OSError when none is free."""

    def __init__(self, media_address: str) -> None:
        self._peer = _reachable(media_address)
        self.address = _address_towards(self._peer)
        self._sockets = open_pair((self.address, 0))
        self._loop = asyncio.get_running_loop()
        self._reading = False

    @property
    def ports(self) -> Pair:
        """The ports of RTP and RTCP."""
        return Pair(*(sock.getsockname()[1] for sock in self._sockets))

    def connect(self, port: int, receive: Receive) -> None:
        """Talk to this port of the media proxy (RTP, and RTCP at the next) and hand over what it sends."""
        for kind, sock in enumerate(self._sockets):
            sock.connect((self._peer, port + kind))
            _empty(sock)  # of what anybody may have sent before
            self._loop.add_reader(sock, self._read, kind, sock, receive)
        self._reading = True

    def send(self, kind: int, datagram: bytes) -> None:
        """Send what the system takes at once; the rest is lost, as on any network."""
        try:
            self._sockets[kind].send(datagram)
        except OSError:
            return

    def close(self) -> None:
        """Stop receiving and free the ports."""
        for sock in self._sockets:
            if self._reading:
                self._loop.remove_reader(sock)
            sock.close()
        self._reading = False

    def _read(self, kind: int, sock: socket.socket, receive: Receive) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                datagram = sock.recv(LARGEST_DATAGRAM)
            except OSError:  # nothing more to read, or an ICMP error of something that was sent
                return
            receive(kind, datagram)


def _empty(sock: socket.socket) -> None:
    with suppress(OSError):
        while True:
            sock.recv(LARGEST_DATAGRAM)


def _reachable(media_address: str) -> str:
    """An address of the media proxy to talk to: one that listens everywhere is on this machine."""
    address = ipaddress.ip_address(media_address)
    if not address.is_unspecified:
        return media_address
    return "::1" if address.version == 6 else "127.0.0.1"


def _address_towards(peer: str) -> str:
    """The address of this machine that datagrams to `peer` come from; nothing is sent."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        address: str = probe.getsockname()[0]
        return address
