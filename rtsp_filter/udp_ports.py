"""Pairs of UDP sockets: RTP at an even port, RTCP at the next one (RFC 3550, section 11)."""

from __future__ import annotations

import errno
import socket
from typing import Any

ATTEMPTS = 100
"""The system gives any free port; about every second one is even, and its neighbour is rarely taken. A hundred
failures mean that there are no pairs."""

BUFFER_BYTES = 4 << 20
"""Asked of the kernel, which may grant fewer: a key frame at camera speed is a burst of hundreds of packets."""

LARGEST_DATAGRAM = 65_536

DATAGRAMS_PER_TURN = 64
"""Read in one go, so that a burst costs one turn of the event loop, and no socket starves the others."""

Address = tuple[Any, ...]
"""What the socket module calls an address: host, port, and for IPv6 flow and scope."""


def open_pair(local: Address) -> tuple[socket.socket, socket.socket]:
    """Two bound sockets, for RTP and RTCP. Raises OSError when no pair is free at `local`, whose port is ignored."""
    for _ in range(ATTEMPTS):
        first = _bind(local, 0)
        port = first.getsockname()[1]
        try:
            second = _bind(local, port ^ 1)
        except OSError:
            first.close()
            continue
        return (second, first) if port & 1 else (first, second)
    raise OSError(errno.EADDRINUSE, f"no pair of UDP ports is free on {local[0]}")


def _bind(local: Address, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in local[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        sock.bind((local[0], port, *local[2:]))
    except OSError:
        sock.close()
        raise
    return sock
