"""How this proxy's TCP connections notice that the other machine is gone (Linux, tcp(7))."""

from __future__ import annotations

import socket

_PROBES = 3


def watch_peer(sock: socket.socket, seconds: int) -> None:
    """Let the kernel end a connection whose peer has not answered for about `seconds`, idle or not."""
    interval = max(1, seconds // (2 * _PROBES))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, seconds - _PROBES * interval))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def plain_address(address: str) -> str:
    """An IPv4 address that arrived at an IPv6 socket as IPv4; a zone is kept."""
    return address.removeprefix("::ffff:") if address.startswith("::ffff:") and "." in address else address
