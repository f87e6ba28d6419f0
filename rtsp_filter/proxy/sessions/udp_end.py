"""This process as one end of a relay: a pair of UDP sockets that talks to the media proxy and to nobody else.

Needed where the two legs of a session differ: media comes over UDP and goes on over TCP, or the other way round. What
bounds it is the kernel's call for each datagram that is read, so all else happens once a turn: datagrams are handed
over together, where they were read, and those that go out and are alike share a call (UDP_SEGMENT, udp(7)).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from rtsp_filter.rtsp import Pair, Payload
from rtsp_filter.udp_ports import DATAGRAMS_PER_TURN, LARGEST_DATAGRAM, open_pair

Receive = Callable[[int, Sequence[memoryview]], None]
"""What arrived in a turn: 0 for RTP, 1 for RTCP, and the datagrams, which are good until this returns."""

# Room for the largest datagram behind as many usual ones as are read in a turn.
_SCRATCH_BYTES = LARGEST_DATAGRAM + DATAGRAMS_PER_TURN * 1500
# What one call may send as equal pieces, of which the last may be shorter (Linux's UDP_MAX_SEGMENTS before 6.10).
_UDP_SEGMENT = 103
_MAX_SEGMENTS = 64
_MAX_SEGMENTED_BYTES = 65_000


class _Scratch(threading.local):
    """Where datagrams are read to: one for all sockets of a thread, which reads them one after the other."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SCRATCH_BYTES))


_scratch = _Scratch()


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
            self._loop.add_reader(sock, read_datagrams, sock, kind, receive)
        self._reading = True

    def send(self, kind: int, datagrams: Sequence[Payload]) -> None:
        """Send what the system takes at once; the rest is lost, as on any network. None may be empty."""
        for run in _alike(datagrams):
            _send(self._sockets[kind], run)

    def close(self) -> None:
        """Stop receiving and free the ports."""
        for sock in self._sockets:
            if self._reading:
                self._loop.remove_reader(sock)
            sock.close()
        self._reading = False


def read_datagrams(sock: socket.socket, kind: int, receive: Receive) -> None:
    """Hand over what has come to a socket, as much as is read in one turn."""
    view, at = _scratch.view, 0
    datagrams: list[memoryview] = []
    while len(datagrams) < DATAGRAMS_PER_TURN and at + LARGEST_DATAGRAM <= len(view):
        try:
            size = sock.recv_into(view[at:])
        except OSError:  # nothing more to read, or an ICMP error of something that was sent
            break
        datagrams.append(view[at : at + size])
        at += size
    if datagrams:
        receive(kind, datagrams)


def _send(sock: socket.socket, run: Sequence[Payload]) -> None:
    """One call for datagrams that are alike. Where that is not possible, because they are larger than the network's
    packets, or an error of something that was sent before is told, each goes by itself."""
    with suppress(OSError):
        if len(run) > 1:
            try:
                sock.sendmsg(run, [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", len(run[0])))])
                return
            except BlockingIOError:
                return
            except OSError:
                pass
        for datagram in run:
            sock.send(datagram)


def _alike(datagrams: Sequence[Payload]) -> Iterator[list[Payload]]:
    """Runs of datagrams that one call may send: of one size, but for the last, which may be smaller."""
    run: list[Payload] = []
    total = 0
    for datagram in datagrams:
        size = len(datagram)
        full = len(run) == _MAX_SEGMENTS or total + size > _MAX_SEGMENTED_BYTES
        if run and (full or size > len(run[0]) or len(run[-1]) < len(run[0])):
            yield run
            run, total = [], 0
        run.append(datagram)
        total += size
    if run:
        yield run


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
